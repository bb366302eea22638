//! Which request a body holds, and whether it is answered at once or with `ack` and a later event.

use super::error::RequestError;
use crate::wire::janus::field::{Field, Fields, Kind};

/// The requests this server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// `create`
    Create,
    /// `destroy`
    Destroy,
    /// `exists`
    Exists,
    /// `list`
    List,
    /// `listparticipants`
    ListParticipants,
    /// `join`
    Join,
    /// `joinandconfigure`
    JoinAndConfigure,
    /// `configure`
    Configure,
    /// `publish`
    Publish,
    /// `unpublish`
    Unpublish,
    /// `start`
    Start,
    /// `pause`
    Pause,
    /// `leave`
    Leave,
}

const REQUEST: &[Field] = &[Field::required("request", Kind::Text)];

const NAMES: [(&str, Request); 13] = [
    ("create", Request::Create),
    ("destroy", Request::Destroy),
    ("exists", Request::Exists),
    ("list", Request::List),
    ("listparticipants", Request::ListParticipants),
    ("join", Request::Join),
    ("joinandconfigure", Request::JoinAndConfigure),
    ("configure", Request::Configure),
    ("publish", Request::Publish),
    ("unpublish", Request::Unpublish),
    ("start", Request::Start),
    ("pause", Request::Pause),
    ("leave", Request::Leave),
];

impl Request {
    /// The request of a body; the name is compared without regard to case.
    pub fn parse(body: Fields<'_>) -> Result<Request, RequestError> {
        let name = body.check(REQUEST)?.text("request").unwrap_or_default();
        NAMES
            .iter()
            .find(|(text, _)| text.eq_ignore_ascii_case(name))
            .map(|(_, request)| *request)
            .ok_or_else(|| RequestError::Unknown(name.into()))
    }

    /// The name in lower case.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(_, request)| *request == self).map_or("", |(text, _)| text)
    }

    /// Whether the answer is a `success` without `ack`; these work on every handle and never change its role.
    pub fn is_synchronous(self) -> bool {
        use Request::*;
        matches!(self, Create | Destroy | Exists | List | ListParticipants)
    }

    /// Whether it makes a handle a member of a room.
    pub fn is_join(self) -> bool {
        matches!(self, Request::Join | Request::JoinAndConfigure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::janus::field::Ids;

    fn parse(text: &str) -> Result<Request, u16> {
        let mut bytes = text.as_bytes().to_vec();
        let document = simd_json::to_borrowed_value(&mut bytes).unwrap();
        Request::parse(Fields::of(&document, Ids::Numbers).unwrap()).map_err(|error| error.code())
    }

    #[test]
    fn every_request_is_found_by_its_name_in_any_case() {
        for (name, request) in NAMES {
            assert_eq!(parse(&format!(r#"{{"request":"{}"}}"#, name.to_uppercase())), Ok(request));
            assert_eq!(request.name(), name);
        }
        assert_eq!(parse(r#"{"request":"dance"}"#), Err(423));
        assert_eq!(parse(r#"{"request":null}"#), Err(430));
        assert_eq!(parse(r#"{}"#), Err(429));
    }
}
