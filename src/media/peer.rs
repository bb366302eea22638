//! One peer connection: ICE, DTLS and SRTP of one member, the SSRCs it may send with, and the legs that have something
//! for it in this turn. What a packet means to others is the room's business.

use std::time::Duration;

use super::arena::Lane;
use super::index::PeerKey;
use super::sources::Sources;
use super::tap;
use super::tap::{Capture, Slot};
use super::timer::PlannedTimers;
use super::turn::Turn;
use crate::id::{FourTuple, LegId, StreamId};
use crate::proto::congestion::{BitrateCap, FeedbackRecorder};
use crate::proto::dtls::{Fingerprint, Handshake, KeyingMaterial, Role};
use crate::proto::ice::{Credentials, IceAgent};
use crate::proto::rtp::PublisherClock;
use crate::proto::srtp::{Inbound, Outbound, Profile, SrtpError, split_keying_material};
use crate::time::Mono;
use crate::wire::pcap::Direction;
use crate::wire::sdp::{Setup, Transport};

/// A peer connection.
pub struct Peer {
    /// Its name in the shard's tables.
    pub key: PeerKey,
    /// Who may send, and where we send to.
    pub ice: IceAgent,
    /// The handshake, and the alerts of the peer's whole life.
    pub dtls: Box<dyn Handshake>,
    /// Our side of DTLS.
    pub role: Role,
    /// Keys, once the handshake is done.
    pub media: MediaState,
    /// SSRCs that were announced or bound.
    pub sources: Sources,
    /// When it was last told that there are too many of them.
    pub exhausted_told: Option<Mono>,
    /// What it publishes.
    pub streams: Vec<StreamId>,
    /// What it subscribes to.
    pub legs: Vec<LegId>,
    /// Legs with packets in this turn.
    pub outbox: Outbox,
    /// Transport-wide sequence number of the next packet sent.
    pub transport_sequence: u16,
    /// The peer's NTP clock against ours.
    pub clock: PublisherClock,
    /// Arrival times for transport-wide feedback.
    pub feedback: FeedbackRecorder,
    /// The time to it and back, as its reports tell (RFC 3550 §6.4.1); zero before one has.
    pub round_trip: Duration,
    pub cap: BitrateCap,
    /// Our SSRC in reports of a peer that receives nothing from us.
    pub report_ssrc: u32,
    /// When the next RTCP reports go out.
    pub report_at: Mono,
    /// When event handlers were last told how its media fare.
    pub statistics_at: Mono,
    /// When the peer is given up unless ICE and DTLS are done.
    pub connect_by: Mono,
    /// The looks that are planned at the peer.
    pub planned: PlannedTimers,
    /// When the handshake was done.
    pub connected_at: Mono,
    /// What the peer's certificate must hash to, once it has said so.
    pub remote_fingerprint: Option<Fingerprint>,
    remote_ufrag: Option<Box<str>>,
    /// A capture that waits for keys.
    early_capture: Slot,
}

/// How far the peer has come.
pub enum MediaState {
    /// No keys yet.
    Handshaking,
    /// Media may flow.
    Connected(Box<Keys>),
}

/// Both directions of SRTP.
pub struct Keys {
    /// What the peer sends.
    pub inbound: Inbound,
    /// What we send.
    pub outbound: Outbound,
    /// Who else is told of the packets.
    pub capture: Slot,
}

/// Legs to be released for one peer, by lane; a leg stands here at most once per turn, so the room reserved for the
/// peer's legs always suffices.
#[derive(Default)]
pub struct Outbox {
    audio: Vec<LegId>,
    video: Vec<LegId>,
}

impl Outbox {
    /// Makes room for one more leg of the peer.
    pub fn reserve(&mut self, legs: usize) {
        self.audio.reserve(legs.saturating_sub(self.audio.len()));
        self.video.reserve(legs.saturating_sub(self.video.len()));
    }

    /// Adds a leg; true when the outbox was empty.
    pub fn push(&mut self, lane: Lane, leg: LegId) -> bool {
        let first = self.audio.is_empty() && self.video.is_empty();
        self.lane(lane).push(leg);
        first
    }

    /// The legs of one lane.
    pub fn lane(&mut self, lane: Lane) -> &mut Vec<LegId> {
        if lane == Lane::Audio { &mut self.audio } else { &mut self.video }
    }
}

impl Peer {
    /// A peer that answers checks from now on. None when the library cannot make an endpoint.
    pub fn open(key: PeerKey, remote: Option<&Transport>, turn: &mut Turn<'_>) -> Option<Peer> {
        let role = role_toward(remote);
        let dtls = turn.state.handshakes.endpoint(role)?;
        let ice = IceAgent::new(mint_credentials(turn));
        for ufrag in ice.ufrags() {
            turn.state.index.add_ufrag(ufrag, key);
        }
        let mut peer = Peer {
            key,
            ice,
            dtls,
            role,
            media: MediaState::Handshaking,
            sources: Sources::new(turn.state.index.hasher()),
            exhausted_told: None,
            streams: Vec::new(),
            legs: Vec::new(),
            outbox: Outbox::default(),
            transport_sequence: 0,
            clock: PublisherClock::default(),
            feedback: FeedbackRecorder::new(),
            round_trip: Duration::ZERO,
            cap: BitrateCap::default(),
            report_ssrc: turn.random_u32(),
            report_at: Mono::NEVER,
            statistics_at: Mono(0),
            connect_by: Mono::NEVER,
            planned: PlannedTimers::default(),
            connected_at: Mono::NEVER,
            remote_fingerprint: None,
            remote_ufrag: None,
            early_capture: None,
        };
        if let Some(remote) = remote {
            peer.set_remote(remote, turn);
        }
        Some(peer)
    }

    /// The peer's description is known, or has changed.
    pub fn set_remote(&mut self, remote: &Transport, turn: &mut Turn<'_>) {
        let role = role_toward(Some(remote));
        if let Ok(credentials) = Credentials::new(&remote.ufrag, &remote.pwd) {
            // Before the description was known we took a side, and perhaps the handshake of another ICE agent.
            let is_wrong = self.remote_ufrag.is_none() && role != self.role || self.ice.is_misled(&credentials);
            if is_wrong && let Some(dtls) = turn.state.handshakes.endpoint(role) {
                self.dtls = dtls;
                self.role = role;
            }
            for struck in self.ice.set_remote(&credentials) {
                turn.state.index.remove_tuple(struck, self.key);
            }
        }
        self.dtls.set_remote_fingerprint(remote.fingerprint);
        self.remote_fingerprint = Some(remote.fingerprint);
        if self.remote_ufrag.is_none() {
            self.connect_by = turn.now.mono + crate::limits::ICE_CONNECT_TIMEOUT;
        }
        self.remote_ufrag = Some(remote.ufrag.clone());
    }

    /// Whether a description stands for another DTLS association than the one that is there (RFC 8842 §5): a page has made a
    /// new connection and goes on with it. It comes with ICE credentials of its own, or it is refused before it gets here.
    pub fn is_another(&self, remote: &Transport) -> bool {
        self.remote_fingerprint.is_some_and(|known| known != remote.fingerprint) && self.is_restart(remote)
    }

    /// Leaves the association that was there for the one that a description stands for. What was negotiated stays; keys,
    /// paths and what was measured on them do not. False when the library cannot make an endpoint.
    pub fn begin_association(&mut self, remote: &Transport, turn: &mut Turn<'_>) -> bool {
        let role = role_toward(Some(remote));
        let Some(dtls) = turn.state.handshakes.endpoint(role) else { return false };
        let Ok(credentials) = Credentials::new(&remote.ufrag, &remote.pwd) else { return false };
        (self.dtls, self.role) = (dtls, role);
        let (struck, retired) = self.ice.begin_association(&credentials);
        for tuple in struck {
            turn.state.index.remove_tuple(tuple, self.key);
        }
        if let Some(retired) = retired {
            turn.state.index.remove_ufrag(&retired);
        }
        self.early_capture = self.capture().take();
        self.media = MediaState::Handshaking;
        self.feedback = FeedbackRecorder::new();
        self.clock = PublisherClock::default();
        self.round_trip = Duration::ZERO;
        (self.report_at, self.connected_at) = (Mono::NEVER, Mono::NEVER);
        // As for a new peer, whose description comes first.
        (self.remote_ufrag, self.remote_fingerprint) = (None, None);
        self.set_remote(remote, turn);
        true
    }

    /// Whether a description asks for an ICE restart (RFC 8839 §4.4.1.1.1: the credentials differ).
    pub fn is_restart(&self, remote: &Transport) -> bool {
        self.remote_ufrag.as_deref().is_some_and(|known| known != &*remote.ufrag)
    }

    /// Fresh credentials for the next description; the old ones are answered until the new ones are used.
    pub fn restart_ice(&mut self, turn: &mut Turn<'_>) {
        let credentials = mint_credentials(turn);
        turn.state.index.add_ufrag(credentials.ufrag(), self.key);
        if let Some(retired) = self.ice.restart(credentials) {
            turn.state.index.remove_ufrag(&retired);
        }
    }

    /// What our description says of us. `answering` chooses the setup attribute.
    pub fn transport(&self, answering: bool, turn: &Turn<'_>) -> Transport {
        let setup = match (answering, self.role) {
            (false, _) => Setup::ActPass,
            (true, Role::Active) => Setup::Active,
            (true, Role::Passive) => Setup::Passive,
        };
        Transport {
            ufrag: self.ice.local().ufrag().into(),
            pwd: self.ice.local().password().into(),
            fingerprint: turn.state.handshakes.fingerprint(),
            setup,
        }
    }

    /// Takes the keys of a finished handshake.
    pub fn connect(&mut self, profile: u16, material: &KeyingMaterial, role: Role) -> Result<(), SrtpError> {
        let profile = Profile::from_iana_id(profile).ok_or(SrtpError::KeyLength)?;
        let (client, server) = split_keying_material(profile, material.as_bytes())?;
        let (ours, theirs) = if role == Role::Active { (client, server) } else { (server, client) };
        let (inbound, outbound) = (Inbound::new(profile, &theirs)?, Outbound::new(profile, &ours)?);
        let capture = self.capture().take();
        self.media = MediaState::Connected(Box::new(Keys { inbound, outbound, capture }));
        Ok(())
    }

    /// A capture that waits for keys.
    pub fn early_capture(&self) -> Option<&Capture> {
        self.early_capture.as_deref()
    }

    /// Where the peer's capture stands.
    pub fn capture(&mut self) -> &mut Slot {
        match &mut self.media {
            MediaState::Connected(keys) => &mut keys.capture,
            MediaState::Handshaking => &mut self.early_capture,
        }
    }

    /// The keys and the path, when media can be sent.
    pub fn sender(&mut self) -> Option<(&mut Keys, FourTuple)> {
        let path = self.ice.selected()?;
        match &mut self.media {
            MediaState::Connected(keys) => Some((keys, path)),
            MediaState::Handshaking => None,
        }
    }

    /// Whether the handshake is done.
    pub fn is_connected(&self) -> bool {
        matches!(self.media, MediaState::Connected(_))
    }

    /// Sends what DTLS wants to send.
    pub fn flush_dtls(&mut self, turn: &mut Turn<'_>) {
        let Some(path) = self.ice.dtls_path() else { return };
        while turn.send_control(path, |out| self.dtls.poll_transmit(out)).is_some() {}
    }

    /// Composes and seals one RTCP datagram. Nothing is sent without keys, without a path, or when `compose` declines.
    pub fn send_rtcp(&mut self, turn: &mut Turn<'_>, compose: impl FnOnce(&mut [u8]) -> Option<usize>) -> bool {
        self.ice.note_sent(turn.now.mono);
        let Some((keys, path)) = self.sender() else { return false };
        let mut plain = [0; crate::limits::SEGMENT_MAX];
        // Room for the SRTCP index and the tag.
        let most = plain.len() - 32;
        let Some(len) = compose(&mut plain[..most]) else { return false };
        let sent = turn.send_control(path, |out| keys.outbound.protect_rtcp(&plain[..len], out).ok()).is_some();
        turn.state.counters.rtcp_sent += u64::from(sent);
        if sent && keys.capture.is_some() {
            tap::record(&mut keys.capture, turn, Some(path), Direction::Out, &[&plain[..len]]);
        }
        sent
    }

    /// Takes the peer out of the shard's tables and says goodbye.
    pub fn close(mut self, turn: &mut Turn<'_>) {
        self.dtls.close();
        self.flush_dtls(turn);
        for tuple in self.ice.tuples() {
            turn.state.index.remove_tuple(tuple, self.key);
        }
        for ufrag in self.ice.ufrags() {
            turn.state.index.remove_ufrag(ufrag);
        }
    }
}

/// RFC 8842 §5.2, §5.3: the peer is the client unless it insists on being the server.
fn role_toward(remote: Option<&Transport>) -> Role {
    match remote.map(|remote| remote.setup) {
        Some(Setup::Passive) => Role::Active,
        _ => Role::Passive,
    }
}

fn mint_credentials(turn: &mut Turn<'_>) -> Credentials {
    loop {
        let credentials = Credentials::mint(&mut turn.state.rng);
        if turn.state.index.by_ufrag(credentials.ufrag()).is_none() {
            return credentials;
        }
    }
}
