//! Janus messages: documents out of one text, their envelopes, and every request body by its own table of fields.

use portunus::limits::JSON_DEPTH_MAX;
use portunus::videoroom::json::{administration, publisher, request, room, subscriber};
use portunus::wire::janus::admin::request as admin;
use portunus::wire::janus::document;
use portunus::wire::janus::document::DOCUMENTS_MAX;
use portunus::wire::janus::envelope::{Request, error};
use portunus::wire::janus::field::{Fields, Ids};
use portunus::wire::janus::message::{Attach, Message, check_trickle};
use portunus::wire::sdp;
use simd_json::Buffers;
use simd_json::borrowed::Value;

/// One text of a connection.
pub fn run(data: &[u8]) {
    let mut buffers = Buffers::default();
    for ids in [Ids::Numbers, Ids::Texts] {
        let mut text = data.to_vec();
        let Ok(documents) = document::parse(&mut text, &mut buffers) else { continue };
        assert!((1..=DOCUMENTS_MAX).contains(&documents.len()));
        for document in &documents {
            assert!(depth(document) <= JSON_DEPTH_MAX, "the bound was checked before parsing");
            message(document, ids, &mut buffers);
        }
    }
}

fn message(document: &Value<'_>, ids: Ids, buffers: &mut Buffers) {
    match Request::parse(document, ids) {
        Ok(request) => {
            let _ = Attach::parse(request.fields);
            operators(request.fields);
            let _ = check_trickle(request.fields);
            let Ok(message) = Message::parse(request.fields) else { return };
            if let Some(jsep) = message.jsep {
                let _ = sdp::parse(jsep.kind, jsep.sdp);
            }
            if let Some(body) = Fields::of(message.body, ids) {
                requests(body);
            }
        }
        // Whatever of a bad request is echoed, the answer is one document.
        Err(refused) => {
            let mut answer = error(refused.session, refused.transaction, &refused.error).into_bytes();
            assert_eq!(document::parse(&mut answer, buffers).map(|documents| documents.len()), Ok(1));
        }
    }
}

/// What operators say beside their verb.
fn operators(fields: Fields<'_>) {
    let known = ["janus.plugin.videoroom"];
    if let Ok(token) = admin::Token::parse(fields) {
        assert!(token.named(&known).is_none_or(|named| named.len() <= 1));
        let _ = token.all_named(&known);
    }
    assert!(admin::level(fields).is_ok_and(|level| level <= 7) || admin::level(fields).is_err());
    let _ = admin::session_timeout(fields);
    let _ = admin::log_line(fields);
    let _ = admin::natural::<u32>(fields, "timeout");
    let _ = admin::flag(fields, "accept");
    let _ = admin::query(fields, "plugin");
}

/// A body may reach any of the readers, whatever it names as its request.
fn requests(body: Fields<'_>) {
    if let Ok(request) = request::Request::parse(body) {
        assert_eq!(body.text("request").map(str::to_ascii_lowercase).as_deref(), Some(request.name()));
        if request.is_administration() {
            let _ = administration::check(request, body);
            let _ = administration::Administration::parse(request, body);
        }
    }
    let _ = room::Create::check(body);
    let _ = room::Create::parse(body);
    let _ = room::Destroy::parse(body);
    let _ = room::parse_room(body);
    let _ = room::parse_list(body);
    let _ = publisher::ParticipantType::parse(body);
    let _ = publisher::JoinPublisher::parse(body);
    let _ = publisher::Configure::parse(body);
    let _ = subscriber::JoinSubscriber::parse(body);
    let _ = subscriber::ConfigureSubscriber::parse(body);
    let _ = subscriber::Update::parse(body);
    let _ = subscriber::Update::parse_subscribe(body);
    let _ = subscriber::Update::parse_unsubscribe(body);
    let _ = subscriber::Switch::parse(body);
}

fn depth(value: &Value<'_>) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
