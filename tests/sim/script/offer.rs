//! Descriptions of a scripted peer: what it offers to send and how it answers, with the repair that is its habit.

use portunus::control::codec::Codec;
use portunus::wire::sdp::{
    Description, DescriptionKind, Direction, ExtensionMap, MediaKind, MediaSection, Mid, Msid, Payload, Setup,
    SsrcGroup, Transport, compose, parse,
};

use super::repair::{Habits, Kept};
use super::{ScriptedBrowser, SendLine, draw};
use crate::clock::Clock;

const MID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
const TRANSPORT_CC_URI: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
pub const MID_ID: u8 = 4;
pub const TRANSPORT_CC_ID: u8 = 3;
const AUDIO_PT: u8 = 111;
const VIDEO_PT: u8 = 96;
pub const RTX_PT: u8 = 97;

impl ScriptedBrowser {
    pub(super) fn compose_offer(&mut self, lines: &[(MediaKind, bool)]) -> String {
        for (kind, _) in lines.iter().skip(self.lines.len()) {
            let announced = self.prng.per_mille(700);
            let ssrc = self.prng.next() as u32;
            self.lines.push(SendLine {
                kind: *kind,
                ssrc,
                rtx_ssrc: (*kind == MediaKind::Video && self.habits.rtx).then_some(ssrc ^ 1),
                announced,
                pt: if *kind == MediaKind::Audio { AUDIO_PT } else { VIDEO_PT },
                sent: (0, 0),
                last_timestamp: None,
                kept: Kept::default(),
            });
        }
        let sections = lines.iter().zip(&self.lines).enumerate();
        let sections = sections.map(|(i, ((kind, active), line))| {
            let direction = if *active { Direction::SendOnly } else { Direction::Inactive };
            let mut section = offered(*kind, i, direction, &self.habits);
            if line.announced {
                section.ssrcs = vec![(line.ssrc, "script".into())];
                if let Some(rtx) = line.rtx_ssrc {
                    section.ssrcs.push((rtx, "script".into()));
                    section.ssrc_groups = vec![SsrcGroup { semantics: "FID".into(), ssrcs: vec![line.ssrc, rtx] }];
                }
            }
            section
        });
        let sections = sections.collect();
        compose(&self.describe(DescriptionKind::Offer, sections))
    }

    pub(super) fn check_answer(&self, answer: &Description) {
        assert_eq!(answer.media.len(), self.lines.len());
        for (section, line) in answer.media.iter().zip(&self.lines).filter(|(section, _)| !section.rejected) {
            let rtx = section.payloads.iter().any(|payload| &*payload.encoding == "rtx");
            assert_eq!(rtx, line.rtx_ssrc.is_some(), "RTX is taken when it is offered");
            let nack = section.payloads[0].feedback.iter().any(|feedback| &**feedback == "nack");
            assert_eq!(nack, self.habits.repairs(line.kind), "NACKs are taken when they are offered");
        }
    }

    pub(super) fn compose_answer(&mut self, clock: &Clock, text: &str) -> String {
        let offer = parse(DescriptionKind::Offer, text).expect("an offer of ours");
        let before = self.remote.as_ref().map(|remote| remote.transport.ufrag.clone());
        let restarted = before.is_some_and(|known| known != offer.transport().expect("it has one").ufrag);
        if restarted {
            self.credentials = draw(&mut self.prng);
        }
        self.set_remote(clock, &offer, text);
        let mut sections = Vec::new();
        for section in &offer.media {
            for (ssrc, _) in &section.ssrcs {
                self.expected.insert(*ssrc, (section.mid, section.kind));
            }
            for group in section.ssrc_groups.iter().filter(|_| self.habits.rtx) {
                self.repaired_by.insert(group.ssrcs[1], group.ssrcs[0]);
            }
            for payload in &section.payloads {
                let mid = section.extensions.iter().find(|extension| &*extension.uri == MID_URI);
                self.mid_extension.insert(payload.pt, mid.expect("MID is always offered").id);
            }
            let mut payloads = section.payloads.clone();
            payloads.retain(|payload| self.habits.rtx || &*payload.encoding != "rtx");
            for payload in payloads.iter_mut().filter(|_| !self.habits.repairs(section.kind)) {
                payload.feedback.retain(|feedback| &**feedback != "nack");
            }
            let receives = section.direction == Direction::SendOnly;
            sections.push(MediaSection {
                direction: if receives { Direction::RecvOnly } else { Direction::Inactive },
                payloads,
                extensions: section.extensions.clone(),
                rtcp_mux: true,
                ..MediaSection::new(section.kind, section.mid, &section.profile)
            });
        }
        compose(&self.describe(DescriptionKind::Answer, sections))
    }

    fn describe(&mut self, kind: DescriptionKind, media: Vec<MediaSection>) -> Description {
        self.origin_version += 1;
        let transport = Transport {
            ufrag: self.credentials.ufrag().into(),
            pwd: self.credentials.password().into(),
            fingerprint: self.fingerprint,
            setup: match (self.passive, kind) {
                (true, _) => Setup::Passive,
                (false, DescriptionKind::Offer) => Setup::ActPass,
                (false, DescriptionKind::Answer) => Setup::Active,
            },
        };
        let mut description = Description {
            e2ee: false,
            kind,
            origin_id: 77,
            origin_version: self.origin_version,
            session_name: "-".into(),
            ice_lite: false,
            extmap_allow_mixed: true,
            bundle: Some(media.iter().filter(|section| !section.rejected).map(|section| section.mid).collect()),
            media,
        };
        description.complete(&transport, &[]);
        description
    }
}

fn offered(kind: MediaKind, index: usize, direction: Direction, habits: &Habits) -> MediaSection {
    let codec = if kind == MediaKind::Audio { Codec::Opus } else { Codec::Vp8 };
    let payload = |pt: u8, encoding: &str, fmtp: Option<&str>, feedback: &[&str]| Payload {
        pt,
        encoding: encoding.into(),
        clock_rate: codec.clock_rate(),
        channels: (kind == MediaKind::Audio).then_some(2),
        fmtp: fmtp.map(Box::from),
        feedback: feedback.iter().map(|text| Box::from(*text)).collect(),
    };
    let mut payloads = match kind {
        MediaKind::Audio => vec![payload(AUDIO_PT, "opus", Some("minptime=10;useinbandfec=1"), &["transport-cc"])],
        _ => vec![payload(VIDEO_PT, "VP8", None, &["goog-remb", "transport-cc", "ccm fir", "nack pli"])],
    };
    if habits.repairs(kind) {
        payloads[0].feedback.push("nack".into());
    }
    if kind == MediaKind::Video && habits.rtx {
        payloads.push(payload(RTX_PT, "rtx", Some("apt=96"), &[]));
    }
    let mid = Mid::from(&index.to_string()).unwrap();
    MediaSection {
        direction,
        payloads,
        extensions: vec![
            ExtensionMap { id: TRANSPORT_CC_ID, direction: None, uri: TRANSPORT_CC_URI.into() },
            ExtensionMap { id: MID_ID, direction: None, uri: MID_URI.into() },
        ],
        rtcp_mux: true,
        msid: Some(Msid { stream: "script".into(), track: index.to_string().into() }),
        ..MediaSection::new(kind, mid, "UDP/TLS/RTP/SAVPF")
    }
}
