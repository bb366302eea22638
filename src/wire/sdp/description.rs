//! An SDP as a value: what an offer or answer of a browser means to us, with session-level defaults folded into
//! each m-line. Text is parsed and rendered in the sibling files; no rule of any room is applied here (RFC 8866, RFC 9429).

use std::net::IpAddr;

use arrayvec::ArrayString;

use super::fingerprint::Fingerprint;

/// An m-line's identification tag (RFC 9143 §15). RFC 5888 has no bound; an element of the header extension carries 255
/// bytes (16 in the one-byte form, RFC 8285 §4). Those of subscribers are ours and short.
pub type Mid = ArrayString<255>;

/// Which half of an exchange a description is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DescriptionKind {
    /// RFC 3264 offer.
    Offer,
    /// RFC 3264 answer.
    Answer,
}

/// What an m-line carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MediaKind {
    /// `m=audio`
    Audio,
    /// `m=video`
    Video,
    /// `m=application`: a data channel.
    Data,
    /// Any other (`m=text`, `m=message`, `m=image`): always rejected.
    Other,
}

/// RFC 8866 §6.7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Both ways; also when no direction is given.
    SendRecv,
    /// The describer only sends.
    SendOnly,
    /// The describer only receives.
    RecvOnly,
    Inactive,
}

/// Who opens DTLS (RFC 8842 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// Either; only in offers.
    ActPass,
    /// The describer is the DTLS client.
    Active,
    /// The describer is the DTLS server.
    Passive,
}

impl Setup {
    /// Our role in answer to the peer's: server unless it insists on being one (RFC 8842 §5.3).
    pub fn answer(self) -> Setup {
        match self {
            Setup::ActPass | Setup::Active => Setup::Passive,
            Setup::Passive => Setup::Active,
        }
    }
}

/// ICE credentials and DTLS identity of one side of one peer connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transport {
    /// `a=ice-ufrag`, 4 to 256 characters.
    pub ufrag: Box<str>,
    /// `a=ice-pwd`, 22 to 256 characters.
    pub pwd: Box<str>,
    /// `a=fingerprint`.
    pub fingerprint: Fingerprint,
    /// `a=setup`.
    pub setup: Setup,
}

/// A host candidate of ours (RFC 8839 §5.1); what peers send is not needed by a lite agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Address as advertised.
    pub address: IpAddr,
    pub port: u16,
    /// RFC 8445 §5.1.2.1.
    pub priority: u32,
}

/// One payload type with what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// 0 to 127.
    pub pt: u8,
    /// Encoding name as written, compared without case (`opus`, `VP8`, `rtx`).
    pub encoding: Box<str>,
    /// Clock rate in Hz.
    pub clock_rate: u32,
    /// Audio channels when given.
    pub channels: Option<u8>,
    /// The text of `a=fmtp` after the payload type.
    pub fmtp: Option<Box<str>>,
    /// The texts of `a=rtcp-fb` after the payload type; `*` lines are folded into every payload.
    pub feedback: Vec<Box<str>>,
}

/// `a=extmap` (RFC 8285 §5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtensionMap {
    /// 1 to 255 (1 to 14 in one-byte form).
    pub id: u8,
    /// Who uses it, where that is said.
    pub direction: Option<Direction>,
    /// What it means.
    pub uri: Box<str>,
}

/// `a=ssrc-group` (RFC 5576 §4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SsrcGroup {
    /// `FID`, `SIM`.
    pub semantics: Box<str>,
    /// Members in order.
    pub ssrcs: Vec<u32>,
}

/// `a=rid` (RFC 8851).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rid {
    pub id: Box<str>,
    /// Whether the describer sends it.
    pub send: bool,
}

/// `a=msid` (RFC 8830).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Msid {
    pub stream: Box<str>,
    pub track: Box<str>,
}

/// One m-line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaSection {
    /// What it carries.
    pub kind: MediaKind,
    /// The media type of [`MediaKind::Other`] as written; empty for the kinds that have a name here.
    pub media: Box<str>,
    /// Its tag; when the peer gave none, the index as text, or another that is nobody else's.
    pub mid: Mid,
    /// Port 0 (but for a bundle-only m-line of a group), or a kind that nothing here carries.
    pub rejected: bool,
    /// The proto field, echoed in answers (`UDP/TLS/RTP/SAVPF`).
    pub profile: Box<str>,
    pub direction: Direction,
    /// Credentials and identity; `None` in a description of ours that the engine has not completed.
    pub transport: Option<Transport>,
    /// In order of preference.
    pub payloads: Vec<Payload>,
    pub extensions: Vec<ExtensionMap>,
    /// `a=rtcp-mux`.
    pub rtcp_mux: bool,
    /// `a=msid`.
    pub msid: Option<Msid>,
    /// `a=ssrc:N cname:C`, each once.
    pub ssrcs: Vec<(u32, Box<str>)>,
    /// RTX pairs and legacy simulcast.
    pub ssrc_groups: Vec<SsrcGroup>,
    /// Simulcast encodings; kept on parse, composed only once layers exist.
    pub rids: Vec<Rid>,
    /// Bandwidth in bits per second; rendered as `b=TIAS` and `b=AS`.
    pub bandwidth_bps: Option<u64>,
    /// `a=sctp-port` of a data m-line.
    pub sctp_port: Option<u16>,
    /// Our candidates; empty on parse.
    pub candidates: Vec<Candidate>,
}

impl MediaSection {
    /// An inactive m-line with nothing in it.
    pub fn new(kind: MediaKind, mid: Mid, profile: &str) -> MediaSection {
        MediaSection {
            kind,
            media: Box::default(),
            mid,
            rejected: false,
            profile: profile.into(),
            direction: Direction::Inactive,
            transport: None,
            payloads: Vec::new(),
            extensions: Vec::new(),
            rtcp_mux: false,
            msid: None,
            ssrcs: Vec::new(),
            ssrc_groups: Vec::new(),
            rids: Vec::new(),
            bandwidth_bps: None,
            sctp_port: None,
            candidates: Vec::new(),
        }
    }
}

/// A whole description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Offer or answer; from the JSEP type, not from the text.
    pub kind: DescriptionKind,
    /// Its sender says that the media are encrypted end to end; beside the text too.
    pub e2ee: bool,
    /// `o=`: session id.
    pub origin_id: u64,
    /// `o=`: version.
    pub origin_version: u64,
    /// `s=`.
    pub session_name: Box<str>,
    /// `a=ice-lite`; always true in ours.
    pub ice_lite: bool,
    /// `a=extmap-allow-mixed`.
    pub extmap_allow_mixed: bool,
    /// Members of the BUNDLE group in order, where there is one (RFC 9143).
    pub bundle: Option<Vec<Mid>>,
    pub media: Vec<MediaSection>,
}

impl Description {
    /// The transport of the bundle: the first m-line that is not rejected and has one.
    pub fn transport(&self) -> Option<&Transport> {
        self.media.iter().filter(|m| !m.rejected).find_map(|m| m.transport.as_ref())
    }

    /// Completes a description of ours: the same credentials on every m-line, candidates on those that are not rejected.
    pub fn complete(&mut self, transport: &Transport, candidates: &[Candidate]) {
        for media in &mut self.media {
            media.transport = Some(transport.clone());
            if !media.rejected {
                media.candidates = candidates.to_vec();
            }
        }
    }
}
