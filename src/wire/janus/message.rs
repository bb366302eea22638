//! The elements of the core's own verbs: `attach`, `message` with its `jsep`, `trickle`.

use simd_json::borrowed::Value;

use super::error::CoreError;
use super::field::{Field, FieldError, Fields, Ids, Kind};
use crate::limits::OPAQUE_ID_BYTES_MAX;
use crate::wire::sdp::DescriptionKind;

/// `attach`
const ATTACH: &[Field] = &[
    Field::required("plugin", Kind::Text),
    Field::optional("opaque_id", Kind::Text),
    Field::optional("token", Kind::Text),
    Field::optional("loop_index", Kind::Natural),
];

/// `attach`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attach<'v> {
    pub plugin: &'v str,
    /// The client's name for the handle.
    pub opaque_id: Option<&'v str>,
}

impl<'v> Attach<'v> {
    /// Reads an `attach`.
    pub fn parse(fields: Fields<'v>) -> Result<Attach<'v>, CoreError> {
        let fields = fields.check(ATTACH)?;
        let opaque_id = fields.text("opaque_id");
        if opaque_id.is_some_and(|text| text.len() > OPAQUE_ID_BYTES_MAX) {
            return Err(FieldError::TooLong("opaque_id", OPAQUE_ID_BYTES_MAX).into());
        }
        Ok(Attach { plugin: fields.text("plugin").unwrap_or_default(), opaque_id })
    }
}

/// `message`
#[derive(Clone, Copy, Debug)]
pub struct Message<'v> {
    /// For the plugin.
    pub body: &'v Value<'v>,
    /// A description of the client's.
    pub jsep: Option<RemoteJsep<'v>>,
}

/// The client's `jsep`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteJsep<'v> {
    /// Offer or answer.
    pub kind: DescriptionKind,
    /// The text, not parsed.
    pub sdp: &'v str,
    /// The client says that its media are encrypted end to end.
    pub e2ee: bool,
}

const MESSAGE: &[Field] = &[Field::required("body", Kind::Object)];

const JSEP: &[Field] = &[
    Field::required("type", Kind::Text),
    Field::required("sdp", Kind::Raw),
    Field::optional("trickle", Kind::Flag),
    Field::optional("rid_order", Kind::Text),
    Field::optional("force_relay", Kind::Flag),
    Field::optional("e2ee", Kind::Flag),
];

impl<'v> Message<'v> {
    /// Reads body and jsep.
    pub fn parse(fields: Fields<'v>) -> Result<Message<'v>, CoreError> {
        let fields = fields.check(MESSAGE)?;
        let Some(body) = fields.value("body") else { return Err(FieldError::Missing("body").into()) };
        let jsep = match fields.value("jsep") {
            None => None,
            Some(jsep) => Some(RemoteJsep::parse(jsep)?),
        };
        Ok(Message { body, jsep })
    }
}

impl<'v> RemoteJsep<'v> {
    fn parse(jsep: &'v Value<'v>) -> Result<RemoteJsep<'v>, CoreError> {
        let fields = Fields::of(jsep, Ids::Numbers).ok_or(CoreError::JsepNotAnObject)?;
        let fields = fields.check(JSEP).map_err(CoreError::JsepField)?;
        let kind = match fields.text("type").unwrap_or_default() {
            kind if kind.eq_ignore_ascii_case("offer") => DescriptionKind::Offer,
            kind if kind.eq_ignore_ascii_case("answer") => DescriptionKind::Answer,
            kind => return Err(CoreError::JsepType(kind.into())),
        };
        let e2ee = fields.flag("e2ee").unwrap_or(false);
        Ok(RemoteJsep { kind, sdp: fields.text("sdp").unwrap_or_default(), e2ee })
    }
}

const CANDIDATE: &[Field] = &[
    Field::required("candidate", Kind::Raw),
    Field::optional("sdpMid", Kind::Text),
    Field::optional("sdpMLineIndex", Kind::Natural),
];

/// Checks a `trickle`. A lite agent learns its peer's addresses from the checks it receives (RFC 8445 §2.5), so nothing
/// is kept. Faulty items of `candidates` are skipped, as Janus does; a single faulty one is an error. `null`, a bare string
/// and `completed` are the end of candidates.
pub fn check_trickle(fields: Fields<'_>) -> Result<(), CoreError> {
    match (fields.value("candidate"), fields.value("candidates")) {
        (None, None) => Err(CoreError::NoCandidate),
        (Some(_), Some(_)) => Err(CoreError::BothCandidateForms),
        (None, Some(Value::Array(_))) => Ok(()),
        (None, Some(_)) => Err(FieldError::Type("candidates", Kind::Array).into()),
        (Some(candidate), None) => check_candidate(candidate),
    }
}

/// The candidates of a `trickle` that is in order, as far as they say anything.
pub fn candidates<'v>(fields: Fields<'v>) -> impl Iterator<Item = &'v str> {
    let several = match fields.value("candidates") {
        Some(Value::Array(candidates)) => &candidates[..],
        _ => &[],
    };
    let all = fields.value("candidate").into_iter().chain(several);
    let text = all.filter_map(|candidate| Fields::of(candidate, Ids::Numbers)?.text("candidate"));
    text.filter(|text| !text.is_empty())
}

fn check_candidate(candidate: &Value<'_>) -> Result<(), CoreError> {
    if matches!(candidate, Value::Static(simd_json::StaticNode::Null) | Value::String(_)) {
        return Ok(());
    }
    let fields = Fields::of(candidate, Ids::Numbers).ok_or(FieldError::Type("candidate", Kind::Object))?;
    if fields.value("completed").is_some() {
        return Ok(());
    }
    if fields.value("sdpMid").is_none() && fields.value("sdpMLineIndex").is_none() {
        return Err(CoreError::NoCandidateLine);
    }
    fields.check(CANDIDATE).map_err(CoreError::TrickleField)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on<R>(text: &str, f: impl FnOnce(Fields<'_>) -> R) -> R {
        let mut bytes = text.as_bytes().to_vec();
        let document = simd_json::to_borrowed_value(&mut bytes).unwrap();
        f(Fields::of(&document, Ids::Numbers).unwrap())
    }

    fn message(text: &str) -> Result<Option<DescriptionKind>, u16> {
        on(text, |fields| {
            Message::parse(fields).map(|message| message.jsep.map(|jsep| jsep.kind)).map_err(|error| error.code())
        })
    }

    #[test]
    fn a_name_for_a_handle_is_bounded() {
        let attach = |length: usize| {
            let text = format!(r#"{{"plugin":"p","opaque_id":"{}"}}"#, "x".repeat(length));
            on(&text, |fields| Attach::parse(fields).map(drop).map_err(|error| (error.code(), error.to_string())))
        };
        assert_eq!(attach(OPAQUE_ID_BYTES_MAX), Ok(()));
        let reason = "Invalid element (opaque_id is longer than 1024 bytes)".into();
        assert_eq!(attach(OPAQUE_ID_BYTES_MAX + 1), Err((467, reason)));
    }

    #[test]
    fn a_jsep_is_checked_in_the_order_of_janus() {
        assert_eq!(message(r#"{"body":{}}"#), Ok(None));
        assert_eq!(message(r#"{"body":{},"jsep":{"type":"Offer","sdp":""}}"#), Ok(Some(DescriptionKind::Offer)));
        assert_eq!(message(r#"{"jsep":1}"#), Err(456));
        assert_eq!(message(r#"{"body":[]}"#), Err(467));
        assert_eq!(message(r#"{"body":{},"jsep":null}"#), Err(455));
        assert_eq!(message(r#"{"body":{},"jsep":{}}"#), Err(456));
        assert_eq!(message(r#"{"body":{},"jsep":{"type":"rollback"}}"#), Err(456));
        assert_eq!(message(r#"{"body":{},"jsep":{"type":"rollback","sdp":""}}"#), Err(464));
        assert_eq!(message(r#"{"body":{},"jsep":{"type":"offer"}}"#), Err(456));
        assert_eq!(message(r#"{"body":{},"jsep":{"type":"offer","sdp":1}}"#), Err(467));
        assert_eq!(message(r#"{"body":{},"jsep":{"type":"offer","trickle":null,"sdp":""}}"#), Err(467));
    }

    #[test]
    fn trickles_of_every_form_are_accepted_and_faulty_single_ones_refused() {
        let code = |text: &str| on(text, |fields| check_trickle(fields).map_err(|error| error.code()));
        for good in [
            r#"{"candidate":null}"#,
            r#"{"candidate":""}"#,
            r#"{"candidate":"end-of-candidates"}"#,
            r#"{"candidate":{"completed":false}}"#,
            r#"{"candidate":{"candidate":"","sdpMid":"0"}}"#,
            r#"{"candidate":{"candidate":"candidate:1 1 udp 1 192.0.2.1 9 typ host","sdpMLineIndex":0}}"#,
            r#"{"candidates":[{"candidate":7},null]}"#,
        ] {
            assert_eq!(code(good), Ok(()), "{good}");
        }
        assert_eq!(code("{}"), Err(456));
        assert_eq!(code(r#"{"candidate":null,"candidates":[]}"#), Err(454));
        assert_eq!(code(r#"{"candidate":7}"#), Err(467));
        assert_eq!(code(r#"{"candidates":{}}"#), Err(467));
        assert_eq!(code(r#"{"candidate":{"sdpMid":"0"}}"#), Err(456));
        assert_eq!(code(r#"{"candidate":{"candidate":"x"}}"#), Err(456));
        assert_eq!(code(r#"{"candidate":{"candidate":"x","sdpMid":0}}"#), Err(467));
    }
}
