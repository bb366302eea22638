//! The unchanged jarust carries a call for peer connections elsewhere: `jarust-client websocket|http URL`.
//! On standard input it is given what they describe, a line of JSON at a time, and on standard output it gives what the
//! server describes. Any error ends it.

use std::error::Error;
use std::time::Duration;

use jarust::core::connect;
use jarust::core::jaconfig::{JaConfig, JanusAPI};
use jarust::interface::japrotocol::{GenericEvent, Jsep, JsepType};
use jarust::interface::tgenerator::RandomTransactionGenerator;
use jarust::plugins::JanusId;
use jarust::plugins::video_room::events::{PluginEvent, VideoRoomEvent};
use jarust::plugins::video_room::jahandle_ext::VideoRoom;
use jarust::plugins::video_room::params::*;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin, stdin};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The first event that `wanted` makes something of.
async fn awaited<T>(
    events: &mut UnboundedReceiver<PluginEvent>,
    what: &str,
    wanted: impl Fn(PluginEvent) -> Option<T>,
) -> Outcome<T> {
    let first = async {
        while let Some(event) = events.recv().await {
            if let Some(found) = wanted(event) {
                return Ok(found);
            }
        }
        Err(format!("the events ended before {what}").into())
    };
    timeout(PATIENCE, first).await.map_err(|_| format!("no {what}"))?
}

fn is_up(event: PluginEvent) -> Option<()> {
    matches!(event, PluginEvent::GenericEvent(GenericEvent::WebrtcUp)).then_some(())
}

/// What a peer connection describes.
async fn given(lines: &mut Lines<BufReader<Stdin>>, jsep_type: JsepType) -> Outcome<Jsep> {
    let line = timeout(PATIENCE, lines.next_line()).await??.ok_or("the input ended")?;
    let described: Value = serde_json::from_str(&line)?;
    let sdp = described["sdp"].as_str().ok_or("no sdp was given")?.to_owned();
    Ok(Jsep { jsep_type, sdp, trickle: Some(false) })
}

fn tell(what: Value) {
    println!("{what}");
}

fn expect(holds: bool, sentence: &str) -> Outcome<()> {
    if holds { Ok(()) } else { Err(sentence.into()) }
}

async fn call(api: JanusAPI, url: String, room: JanusId) -> Outcome<()> {
    let config = JaConfig { url, apisecret: None, server_root: "janus".into(), capacity: 32 };
    let mut connection = connect(config, api, RandomTransactionGenerator).await?;
    let info = connection.server_info(PATIENCE).await?;
    expect(info.plugins.contains_key("janus.plugin.videoroom"), "info names no VideoRoom")?;
    let session = connection.create_session(10, PATIENCE).await?;
    let (publisher, mut events) = session.attach_video_room(PATIENCE).await?;
    let spec = VideoRoomCreateParams {
        room: Some(room.clone()),
        description: Some("Rust".into()),
        publishers: Some(3),
        ..Default::default()
    };
    publisher.create_room_with_config(spec, PATIENCE).await?;
    let exists = VideoRoomExistsParams { room: room.clone() };
    expect(publisher.exists(exists, PATIENCE).await?, "the room does not exist")?;
    let listed = publisher.list_rooms(PATIENCE).await?;
    expect(listed.iter().any(|one| one.room == room && one.description == "Rust"), "the room is not listed")?;

    let join = VideoRoomPublisherJoinParams {
        room: room.clone(),
        optional: VideoRoomPublisherJoinParamsOptional { display: Some("jarust".into()), ..Default::default() },
    };
    publisher.join_as_publisher(join, None, PATIENCE).await?;
    let feed = awaited(&mut events, "joined", |event| match event {
        PluginEvent::VideoRoomEvent(VideoRoomEvent::RoomJoined { id, .. }) => Some(id),
        _ => None,
    })
    .await?;
    tell(json!({ "joined": feed }));
    let mut lines = BufReader::new(stdin()).lines();
    let offer = given(&mut lines, JsepType::Offer).await?;
    publisher.publish(VideoRoomPublishParams::default(), offer, PATIENCE).await?;
    let answer = awaited(&mut events, "answer", |event| match event {
        PluginEvent::VideoRoomEvent(VideoRoomEvent::ConfiguredWithJsep { jsep, .. }) => Some(jsep),
        _ => None,
    })
    .await?;
    tell(json!({ "type": "answer", "sdp": answer.sdp }));
    awaited(&mut events, "webrtcup of the publisher", is_up).await?;

    // Over HTTP, jarust polls for each handle and takes what comes for its own: one handle a session.
    let watching = connection.create_session(10, PATIENCE).await?;
    let (subscriber, mut heard) = watching.attach_video_room(PATIENCE).await?;
    let streams = vec![VideoRoomSubscriberJoinStream { feed, optional: Default::default() }];
    let join = VideoRoomSubscriberJoinParams {
        room: room.clone(),
        optional: VideoRoomSubscriberJoinParamsOptional { streams: Some(streams), ..Default::default() },
    };
    subscriber.join_as_subscriber(join, None, PATIENCE).await?;
    let offer = awaited(&mut heard, "offer", |event| match event {
        PluginEvent::VideoRoomEvent(VideoRoomEvent::SubscriberAttachedWithJsep { jsep, .. }) => Some(jsep),
        _ => None,
    })
    .await?;
    tell(json!({ "type": "offer", "sdp": offer.sdp }));
    let answer = given(&mut lines, JsepType::Answer).await?;
    subscriber.start(answer, PATIENCE).await?;
    awaited(&mut heard, "webrtcup of the subscriber", is_up).await?;
    tell(json!({ "up": true }));

    // The next line says that enough was seen.
    timeout(PATIENCE, lines.next_line()).await??.ok_or("the input ended")?;
    publisher.unpublish(PATIENCE).await?;
    awaited(&mut events, "unpublished", |event| {
        matches!(event, PluginEvent::VideoRoomEvent(VideoRoomEvent::UnpublishedAsyncRsp)).then_some(())
    })
    .await?;
    publisher.destroy_room(VideoRoomDestroyParams { room, optional: Default::default() }, PATIENCE).await?;
    watching.destroy(PATIENCE).await?;
    session.destroy(PATIENCE).await?;
    tell(json!({ "ended": true }));
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let (api, room) = match arguments.next().as_deref() {
        Some("websocket") => (JanusAPI::WebSocket, 7601),
        Some("http") => (JanusAPI::Restful, 7602),
        _ => return Err("websocket or http?".into()),
    };
    call(api, arguments.next().ok_or("the URL is missing")?, JanusId::Uint(room.try_into()?)).await
}
