//! Which request a body holds, and whether it is answered at once or with `ack` and a later event.

use super::error::RequestError;
use crate::wire::janus::field::{Field, Fields, Kind};

/// The requests this server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// `create`
    Create,
    /// `edit`
    Edit,
    /// `destroy`
    Destroy,
    /// `exists`
    Exists,
    /// `list`
    List,
    /// `allowed`
    Allowed,
    /// `kick`
    Kick,
    /// `moderate`
    Moderate,
    /// `enable_recording`
    EnableRecording,
    /// `listparticipants`
    ListParticipants,
    /// `listforwarders`
    ListForwarders,
    /// `rtp_forward`
    RtpForward,
    /// `stop_rtp_forward`
    StopRtpForward,
    /// `publish_remotely`
    PublishRemotely,
    /// `unpublish_remotely`
    UnpublishRemotely,
    /// `listremotes`; documented as `list_remotes`.
    ListRemotes,
    /// `add_remote_publisher`
    AddRemotePublisher,
    /// `update_remote_publisher`
    UpdateRemotePublisher,
    /// `remove_remote_publisher`
    RemoveRemotePublisher,
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
    /// `switch`
    Switch,
    /// `subscribe`
    Subscribe,
    /// `unsubscribe`
    Unsubscribe,
    /// `update`
    Update,
    /// `leave`
    Leave,
}

const REQUEST: &[Field] = &[Field::required("request", Kind::Text)];

const NAMES: [(&str, Request); 31] = [
    ("create", Request::Create),
    ("edit", Request::Edit),
    ("destroy", Request::Destroy),
    ("exists", Request::Exists),
    ("list", Request::List),
    ("allowed", Request::Allowed),
    ("kick", Request::Kick),
    ("moderate", Request::Moderate),
    ("enable_recording", Request::EnableRecording),
    ("listparticipants", Request::ListParticipants),
    ("listforwarders", Request::ListForwarders),
    ("rtp_forward", Request::RtpForward),
    ("stop_rtp_forward", Request::StopRtpForward),
    ("publish_remotely", Request::PublishRemotely),
    ("unpublish_remotely", Request::UnpublishRemotely),
    ("listremotes", Request::ListRemotes),
    ("add_remote_publisher", Request::AddRemotePublisher),
    ("update_remote_publisher", Request::UpdateRemotePublisher),
    ("remove_remote_publisher", Request::RemoveRemotePublisher),
    ("join", Request::Join),
    ("joinandconfigure", Request::JoinAndConfigure),
    ("configure", Request::Configure),
    ("publish", Request::Publish),
    ("unpublish", Request::Unpublish),
    ("start", Request::Start),
    ("pause", Request::Pause),
    ("switch", Request::Switch),
    ("subscribe", Request::Subscribe),
    ("unsubscribe", Request::Unsubscribe),
    ("update", Request::Update),
    ("leave", Request::Leave),
];

impl Request {
    /// The request of a body; the name is compared without regard to case.
    pub fn parse(body: Fields<'_>) -> Result<Request, RequestError> {
        let name = body.check(REQUEST)?.text("request").unwrap_or_default();
        let known = if name.eq_ignore_ascii_case("list_remotes") { "listremotes" } else { name };
        NAMES
            .iter()
            .find(|(text, _)| text.eq_ignore_ascii_case(known))
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
        matches!(self, Create | Destroy | Exists | List | ListParticipants) || self.is_administration()
    }

    /// Whether it needs the room's secret, where there is one, and changes or shows what is behind it.
    pub fn is_administration(self) -> bool {
        use Request::*;
        matches!(
            self,
            Edit | Allowed
                | Kick
                | Moderate
                | EnableRecording
                | ListForwarders
                | RtpForward
                | StopRtpForward
                | PublishRemotely
                | UnpublishRemotely
                | ListRemotes
                | AddRemotePublisher
                | UpdateRemotePublisher
                | RemoveRemotePublisher
        )
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
        assert_eq!(parse(r#"{"request":"list_remotes"}"#), Ok(Request::ListRemotes));
        assert_eq!(parse(r#"{"request":"dance"}"#), Err(423));
        assert_eq!(parse(r#"{"request":null}"#), Err(430));
        assert_eq!(parse(r#"{}"#), Err(429));
    }
}
