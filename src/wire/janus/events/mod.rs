//! What event handlers are sent: one JSON object for each thing that happens, with Janus' types, subtypes and keys. The
//! payloads of the core are in `payload`, those of the VideoRoom in `videoroom`; who wants what is a [`Mask`].

pub mod payload;

use std::fmt;

use serde::Serialize;

use crate::id::{HandleId, SessionId};

/// A type of events: the number is on the wire, and is the type's bit in a [`Mask`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Kind {
    /// Sessions begin and end.
    Session = 1,
    /// Handles are attached and detached.
    Handle = 2,
    /// What the operator's own programs say through the admin API.
    External = 4,
    /// Descriptions of either side.
    Jsep = 8,
    /// ICE, DTLS, and whole peer connections.
    WebRtc = 16,
    /// Media come, stop, suffer; and their statistics.
    Media = 32,
    /// What plugins tell.
    Plugin = 64,
    /// Connections and requests.
    Transport = 128,
    /// The server itself.
    Core = 256,
}

/// Every type with its label in settings, in the order of the numbers.
const LABELS: [(&str, Kind); 9] = [
    ("sessions", Kind::Session),
    ("handles", Kind::Handle),
    ("external", Kind::External),
    ("jsep", Kind::Jsep),
    ("webrtc", Kind::WebRtc),
    ("media", Kind::Media),
    ("plugins", Kind::Plugin),
    ("transports", Kind::Transport),
    ("core", Kind::Core),
];

/// Which types somebody wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mask(u16);

/// A label that is none: shown with those that there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownLabel(pub Box<str>);

impl Mask {
    /// Nothing is wanted.
    pub const NONE: Mask = Mask(0);
    /// Everything is.
    pub const ALL: Mask = Mask(511);

    /// Reads `all`, `none`, or labels with commas between them.
    ///
    /// # Errors
    /// The first label that is not known.
    pub fn parse(text: &str) -> Result<Mask, UnknownLabel> {
        match text.trim() {
            "all" => return Ok(Mask::ALL),
            "none" => return Ok(Mask::NONE),
            _ => {}
        }
        text.split(',').map(str::trim).try_fold(Mask::NONE, |mask, label| {
            let known = LABELS.iter().find(|(known, _)| *known == label);
            let (_, kind) = known.ok_or_else(|| UnknownLabel(label.into()))?;
            Ok(Mask(mask.0 | *kind as u16))
        })
    }

    /// What either wants.
    pub fn union(self, other: Mask) -> Mask {
        Mask(self.0 | other.0)
    }

    /// Whether events of a type are wanted.
    pub fn wants(self, kind: Kind) -> bool {
        self.0 & kind as u16 != 0
    }

    /// Whether nothing is wanted.
    pub fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for UnknownLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = LABELS.map(|(label, _)| label).join(", ");
        write!(f, "{:?} is none of all, none, {known}", self.0)
    }
}

/// What an event tells.
pub trait Payload: Serialize {
    /// Its type.
    const KIND: Kind;

    /// Which of the type's events it is, where there are several.
    fn subtype(&self) -> Option<u8> {
        None
    }
}

/// Whom an event is about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subject<'a> {
    /// None: nobody's session.
    pub session: Option<SessionId>,
    /// None: the session as a whole.
    pub handle: Option<HandleId>,
    /// What the client called its handle.
    pub opaque_id: Option<&'a str>,
}

/// One event as handlers get it. `timestamp_us` counts from the Unix epoch.
pub fn compose<P: Payload>(emitter: &str, timestamp_us: u64, subject: Subject<'_>, event: &P) -> String {
    #[derive(Serialize)]
    struct Envelope<'a, P> {
        emitter: &'a str,
        r#type: u16,
        #[serde(skip_serializing_if = "Option::is_none")]
        subtype: Option<u8>,
        timestamp: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        session_id: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        handle_id: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        opaque_id: Option<&'a str>,
        event: &'a P,
    }
    let envelope = Envelope {
        emitter,
        r#type: P::KIND as u16,
        subtype: event.subtype(),
        timestamp: timestamp_us,
        session_id: subject.session.map(|session| session.0),
        handle_id: subject.handle.map(|handle| handle.0),
        opaque_id: subject.opaque_id,
        event,
    };
    // Our own payloads hold no maps with other keys than strings.
    serde_json::to_string(&envelope).expect("our events are serialisable")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::janus::events::payload::Session;
    use serde_json::json;

    #[test]
    fn a_mask_is_read_from_labels_and_an_unknown_one_is_named() {
        for (text, wanted) in [
            ("all", 511),
            ("none", 0),
            ("sessions", 1),
            ("sessions, handles", 3),
            ("core,plugins,media", 256 + 64 + 32),
            ("sessions,handles,external,jsep,webrtc,media,plugins,transports,core", 511),
        ] {
            assert_eq!(Mask::parse(text), Ok(Mask(wanted)), "{text}");
        }
        for (text, wrong) in [("", ""), ("jsep,", ""), ("Sessions", "Sessions"), ("jsep,all", "all")] {
            assert_eq!(Mask::parse(text), Err(UnknownLabel(wrong.into())), "{text}");
        }
        let said = UnknownLabel("calls".into()).to_string();
        assert!(said.contains("\"calls\"") && said.contains("none, sessions,") && said.ends_with("core"), "{said}");
    }

    #[test]
    fn a_mask_wants_what_either_of_two_wants_and_nothing_else() {
        let mask = Mask::parse("jsep").unwrap().union(Mask::parse("core").unwrap());
        let wanted = LABELS.iter().filter(|(_, kind)| mask.wants(*kind)).map(|(label, _)| *label);
        assert_eq!(Vec::from_iter(wanted), ["jsep", "core"]);
        assert!(Mask::NONE.is_none() && !mask.is_none());
        assert!(LABELS.iter().all(|(_, kind)| Mask::ALL.wants(*kind) && !Mask::NONE.wants(*kind)));
    }

    #[test]
    fn an_event_names_its_subject_as_far_as_there_is_one() {
        let read = |text: String| serde_json::from_str::<serde_json::Value>(&text).unwrap();
        let text = compose("here", 1_700_000_000_000_001, Subject::default(), &Session::Timeout);
        assert_eq!(
            read(text),
            json!({"emitter":"here","type":1,"timestamp":1_700_000_000_000_001_u64,"event":{"name":"timeout"}})
        );
        let subject = Subject { session: Some(SessionId(7)), handle: Some(HandleId(9)), opaque_id: Some("a\"b") };
        assert_eq!(
            read(compose("h", 2, subject, &Session::Destroyed)),
            json!({"emitter":"h","type":1,"timestamp":2,"session_id":7,"handle_id":9,"opaque_id":"a\"b",
                   "event":{"name":"destroyed"}})
        );
    }
}
