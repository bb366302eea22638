//! What media shards answer and tell, to what clients read. Translation only; the keys are declared in `wire`.

use serde::Serialize;

use super::error::PluginError;
use super::json::administration::{Allowed, Done, Recording};
use super::json::error::ErrorBody;
use super::json::event::{
    Bare, Confirmation, Confirmed, Departure, Destroyed, Display, Expelled, Gone, Hangup, Joining, Media, Moderated,
    Publishers, SlowLink, SlowLinkNotice, Talking, Updated,
};
use super::json::forward::{Forwarded, Forwarder, Forwarders, Forwarding, Legacy as Rtp, Made as New, Stopped};
use super::json::publisher::{Configured, Identity, Joined, Publisher, Stream};
use super::json::remote::{Remote, RemoteAdded, Remotized};
use super::json::room::{Exists, List, Listed, Made, Participant, Participants};
use super::json::subscriber::{Attached, Legacy, PlayoutDelay, Source, Subscription, Switched};
use super::json::{Id, Object, PACKAGE, event, publisher};
use crate::control::codec::Codec;
use crate::control::command::{Event, Reply};
use crate::control::summary::{
    ForwarderSummary, ParticipantSummary, Published, PublisherSummary, RemoteSummary, RoomSummary, StreamSummary,
    SubscriptionSummary,
};
use crate::control::{request, summary};
use crate::id::{FeedId, RoomId};
use crate::wire::janus::envelope::{Jsep, Notice};
use crate::wire::sdp::{Description, DescriptionKind, MediaKind, compose};

/// A plugin's data without a description.
fn plain(name: &'static str, data: &impl Serialize) -> Notice {
    Notice::plugin(name, PACKAGE, data, None)
}

/// A plugin's data with our description when there is one.
fn described(name: &'static str, data: &impl Serialize, description: Option<&Description>) -> Notice {
    let Some(description) = description else { return plain(name, data) };
    let kind = jsep_kind(description.kind);
    let sdp = compose(description);
    Notice::plugin(name, PACKAGE, data, Some(Jsep { kind, sdp: &sdp, e2ee: description.e2ee }))
}

/// As `jsep` has it.
pub fn jsep_kind(kind: DescriptionKind) -> &'static str {
    match kind {
        DescriptionKind::Offer => "offer",
        DescriptionKind::Answer => "answer",
    }
}

/// A refusal.
pub fn error(name: &'static str, error: &PluginError) -> Notice {
    plain(name, &ErrorBody::new(error.code(), error.to_string()))
}

/// The answer to `exists`.
pub fn exists(name: &'static str, room: &RoomId, exists: bool) -> Notice {
    plain(name, &Exists { videoroom: "success", room: Id(&room.0), exists })
}

/// The answer to `create`, `edit` and `destroy`, and whether what they did is written down.
pub fn made(name: &'static str, reply: &Reply, permanent: bool, warning: Option<&'static str>) -> Option<Notice> {
    let (videoroom, room) = match reply {
        Reply::Created(room) => ("created", room),
        Reply::Edited(room, _) => ("edited", room),
        Reply::Destroyed(room) => ("destroyed", room),
        _ => return None,
    };
    Some(plain(name, &Made { videoroom, room: Id(&room.0), permanent, warning }))
}

/// The answer to `list`.
pub fn list(name: &'static str, rooms: &[RoomSummary]) -> Notice {
    plain(name, &List { videoroom: "success", list: rooms.iter().map(listed).collect() })
}

/// What is said before the answer that a reply makes: the offer for m-lines that a `switch` has woken.
pub fn preface(name: &'static str, reply: &Reply) -> Option<Notice> {
    match reply {
        Reply::Switched(switched) => Some(updated(name, &switched.room, &switched.streams, switched.offer.as_ref()?)),
        _ => None,
    }
}

fn updated(name: &'static str, room: &RoomId, streams: &[SubscriptionSummary], offer: &Description) -> Notice {
    let streams = Some(streams.iter().map(subscription).collect());
    described(name, &Updated { videoroom: "updated", room: Id(&room.0), streams }, Some(offer))
}

/// The description of ours that a reply brings.
pub fn description(reply: &Reply) -> Option<&Description> {
    match reply {
        Reply::Joined(joined) => joined.published.as_ref().map(|published| &published.answer),
        Reply::Attached(attached) => Some(&attached.offer),
        Reply::Configured(configured) => {
            let answer = configured.published.as_ref().map(|published| &published.answer);
            answer.or(configured.offer.as_ref())
        }
        Reply::Updated(updated) => updated.offered.as_ref().map(|(_, offer)| offer),
        Reply::Switched(switched) => switched.offer.as_ref(),
        _ => None,
    }
}

/// The answer that a reply makes; none when the reply answers no client's request.
pub fn answer(name: &'static str, reply: &Reply, warning: Option<&'static str>) -> Option<Notice> {
    let confirmed = |room: &RoomId, what| plain(name, &Confirmed { videoroom: "event", room: Id(&room.0), what });
    Some(match reply {
        Reply::Created(_) | Reply::Edited(..) | Reply::Destroyed(_) => return made(name, reply, false, warning),
        Reply::Allowed(room, allowed) => {
            plain(name, &Allowed { videoroom: "success", room: Id(&room.0), allowed: allowed.as_deref() })
        }
        Reply::Kicked | Reply::Moderated => plain(name, &Done { videoroom: "success" }),
        Reply::Recording(record) => plain(name, &Recording { videoroom: "success", record: *record }),
        Reply::Forwarders(room, publishers) => {
            let publishers = publishers.iter().map(forwarded).collect();
            plain(name, &Forwarders { videoroom: "forwarders", room: Id(&room.0), publishers })
        }
        Reply::Forwarding(new) => {
            let (room, publisher_id, made) = (Id(&new.room.0), Id(&new.feed.0), new_forwarders(new));
            plain(name, &Forwarding { videoroom: "rtp_forward", room, publisher_id, made })
        }
        Reply::Remotized(room, feed, remote_id) => remotized(name, room, feed, Some(remote_id), None),
        Reply::Unremotized(room, feed) => remotized(name, room, feed, None, None),
        Reply::RemoteAdded { room, id, port } => {
            let (room, id) = (Id(&room.0), Id(&id.0));
            plain(name, &RemoteAdded { videoroom: "success", room, id, port: *port, rtcp_port: *port })
        }
        Reply::RemoteDone => plain(name, &Done { videoroom: "success" }),
        Reply::Remotes(room, feed, remotes) => remotized(name, room, feed, None, Some(remotes)),
        Reply::ForwardStopped(room, feed, stream_id) => {
            let (room, publisher_id) = (Id(&room.0), Id(&feed.0));
            plain(name, &Stopped { videoroom: "stop_rtp_forward", room, publisher_id, stream_id: *stream_id })
        }
        Reply::Exists(room, there) => exists(name, room, *there),
        Reply::Participants(room, participants) => {
            let participants = participants.iter().map(participant).collect();
            plain(name, &Participants { videoroom: "participants", room: Id(&room.0), participants })
        }
        Reply::Joined(joined) => {
            let data = Joined {
                videoroom: "joined",
                room: Id(&joined.room.0),
                description: &joined.description,
                id: Id(&joined.id.0),
                private_id: joined.private_id,
                publishers: joined.publishers.iter().map(publisher).collect(),
                audio_active_packets: joined.talk.packets.filter(|packets| *packets > 0),
                audio_level_average: joined.talk.threshold.filter(|threshold| *threshold > 0),
                attendees: joined.attendees.as_ref().map(|waiting| waiting.iter().map(identity).collect()),
                published: joined.published.as_ref().map(published),
            };
            described(name, &data, joined.published.as_ref().map(|published| &published.answer))
        }
        Reply::Attached(attached) => {
            let data = Attached {
                videoroom: "attached",
                room: Id(&attached.room.0),
                streams: attached.streams.iter().map(subscription).collect(),
                legacy: attached.legacy.as_ref().map(|feed| Legacy {
                    id: Id(&feed.id.0),
                    display: feed.display.as_deref(),
                    metadata: feed.metadata.as_ref().map(object),
                    warning: "deprecated_api",
                }),
            };
            described(name, &data, Some(&attached.offer))
        }
        Reply::Configured(configured) => {
            let data = Configured {
                videoroom: "event",
                room: Id(&configured.room.0),
                configured: "ok",
                published: configured.published.as_ref().map(published),
            };
            let answer = configured.published.as_ref().map(|published| &published.answer);
            described(name, &data, answer.or(configured.offer.as_ref()))
        }
        Reply::Updated(changed) => match &changed.offered {
            Some((streams, offer)) => updated(name, &changed.room, streams, offer),
            None => plain(name, &Updated { videoroom: "updated", room: Id(&changed.room.0), streams: None }),
        },
        Reply::Updating(room) => plain(name, &Updated { videoroom: "updating", room: Id(&room.0), streams: None }),
        Reply::Switched(switched) => {
            let streams = switched.streams.iter().map(subscription).collect();
            let (room, changes) = (Id(&switched.room.0), switched.changes);
            plain(name, &Switched { videoroom: "event", room, switched: "ok", changes, streams })
        }
        Reply::Unpublished(room) => confirmed(room, Confirmation::Unpublished("ok")),
        Reply::PublisherLeft(room) => confirmed(room, Confirmation::Leaving("ok")),
        Reply::SubscriberLeft(room) => confirmed(room, Confirmation::Left("ok")),
        Reply::Started(room) => confirmed(room, Confirmation::Started("ok")),
        Reply::Paused(room) => confirmed(room, Confirmation::Paused("ok")),
        Reply::Claimed { .. }
        | Reply::Owner(_)
        | Reply::Released
        | Reply::Postponed
        | Reply::Admitted(_)
        | Reply::Rooms(_)
        | Reply::TornDown(_)
        | Reply::Surveyed(_)
        | Reply::Adjusted
        | Reply::Inspected(_)
        | Reply::Capture(_)
        | Reply::Refused(_) => return None,
    })
}

/// What an event says, to every handle alike.
pub fn event(event: &Event) -> Notice {
    match event {
        Event::Publishers(room, publishers) => {
            let publishers = publishers.iter().map(publisher).collect();
            plain("event", &Publishers { videoroom: "event", room: Id(&room.0), publishers })
        }
        Event::Joining(room, who) => {
            plain("event", &Joining { videoroom: "event", room: Id(&room.0), joining: identity(who) })
        }
        Event::Unpublished(room, who) => departure(room, who, Gone::Unpublished),
        Event::Leaving(room, who) => departure(room, who, Gone::Leaving),
        Event::Display(feed, display, metadata) => {
            let metadata = metadata.as_ref().map(object);
            plain("event", &Display { videoroom: "event", id: Id(&feed.0), display, metadata })
        }
        Event::Metadata(feed, metadata) => {
            plain("event", &event::Metadata { videoroom: "event", id: Id(&feed.0), metadata: object(metadata) })
        }
        Event::Talking { room, feed, mindex, mid, change } => {
            let videoroom = if change.talking { "talking" } else { "stopped-talking" };
            let (room, id) = (Id(&room.0), Id(&feed.0));
            plain("event", &Talking { videoroom, room, id, mindex: *mindex, mid, level: change.level })
        }
        Event::Destroyed(room) | Event::RoomFailed(room) => {
            plain("event", &Destroyed { videoroom: "destroyed", room: Id(&room.0) })
        }
        // Janus 1.4.2 shows the display name as well. janode 1.8.0 looks for `display` before `kicked`, takes the event for a new
        // name and never learns of the kick.
        Event::Kicked(room, who) => {
            let who = summary::Identity { display: None, ..who.clone() };
            departure(room, &who, Gone::Kicked)
        }
        Event::Expelled(room) => {
            plain("event", &Expelled { videoroom: "event", room: Id(&room.0), leaving: "ok", reason: "kicked" })
        }
        Event::Moderated { room, feed, mid, muted } => {
            let (room, id) = (Id(&room.0), Id(&feed.0));
            let moderation = if *muted { "muted" } else { "unmuted" };
            plain("event", &Moderated { videoroom: "event", room, id, mid, moderation })
        }
        Event::Updated(room, streams, offer) => updated("event", room, streams, offer),
        Event::WebrtcUp => Notice::new("webrtcup", &Bare {}),
        Event::Media { mid, kind, receiving, seconds } => {
            Notice::new("media", &Media { mid, kind: kind_name(*kind), receiving: *receiving, seconds: *seconds })
        }
        Event::SlowLink { mid, kind, uplink, lost } => {
            Notice::new("slowlink", &SlowLink { mid, media: kind_name(*kind), uplink: *uplink, lost: *lost })
        }
        Event::SlowPublisher { bitrate } => {
            plain("event", &SlowLinkNotice { videoroom: "slow_link", current_bitrate: Some(*bitrate) })
        }
        Event::SlowSubscriber => plain("event", &SlowLinkNotice { videoroom: "slow_link", current_bitrate: None }),
        Event::Hangup(reason) => Notice::new("hangup", &Hangup { reason: reason.text() }),
        Event::Detached => Notice::new("detached", &Bare {}),
    }
}

fn departure<'a>(room: &'a RoomId, who: &'a summary::Identity, gone: impl FnOnce(Id<'a>) -> Gone<'a>) -> Notice {
    let Identity { id, display, metadata } = identity(who);
    plain("event", &Departure { videoroom: "event", room: Id(&room.0), display, metadata, gone: gone(id) })
}

/// A published m-line, for operators.
pub fn stream_json(summary: &StreamSummary) -> serde_json::Value {
    serde_json::to_value(stream(summary)).expect("our messages are serialisable")
}

/// A subscriber's m-line, for operators.
pub fn subscription_json(summary: &SubscriptionSummary) -> serde_json::Value {
    serde_json::to_value(subscription(summary)).expect("our messages are serialisable")
}

/// As Janus names it.
pub fn kind_name(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Audio => "audio",
        MediaKind::Video => "video",
        MediaKind::Data => "data",
        // Never published and never subscribed to; what it is called is in its description.
        MediaKind::Other => "other",
    }
}

fn publisher(publisher: &PublisherSummary) -> Publisher<'_> {
    let PublisherSummary { who, dummy, talking, streams } = publisher;
    Publisher { who: identity(who), dummy: *dummy, published: streams_of(streams), talking: *talking }
}

/// What others are told of a participant.
pub fn identity(who: &summary::Identity) -> Identity<'_> {
    let summary::Identity { id, display, metadata } = who;
    Identity { id: Id(&id.0), display: display.as_deref(), metadata: metadata.as_ref().map(object) }
}

fn object(metadata: &request::Metadata) -> Object<'_> {
    Object(&metadata.0)
}

fn published(published: &Published) -> publisher::Published<'_> {
    streams_of(&published.streams)
}

/// A publisher's m-lines, with the codecs that clients of a single one look for.
pub fn streams_of(streams: &[StreamSummary]) -> publisher::Published<'_> {
    let first = |kind| streams.iter().find(|stream| stream.kind == kind && !stream.disabled)?.codec.map(Codec::janus);
    publisher::Published {
        audio_codec: first(MediaKind::Audio),
        video_codec: first(MediaKind::Video),
        streams: streams.iter().map(stream).collect(),
    }
}

fn stream(stream: &StreamSummary) -> Stream<'_> {
    let place = Stream { kind: kind_name(stream.kind), mindex: stream.mindex, mid: &stream.mid, ..Stream::default() };
    if stream.disabled {
        return Stream { disabled: true, ..place };
    }
    Stream {
        description: stream.description.as_deref(),
        codec: stream.codec.map(Codec::janus),
        stereo: stream.stereo,
        fec: stream.fec,
        dtx: stream.dtx,
        talking: stream.talking,
        h264_profile: stream.h264_profile.as_deref(),
        vp9_profile: stream.vp9_profile.as_deref(),
        moderated: stream.moderated,
        audiolevel_ext_id: stream.audiolevel_ext_id,
        videoorient_ext_id: stream.videoorient_ext_id,
        playoutdelay_ext_id: stream.playoutdelay_ext_id,
        ..place
    }
}

/// A subscriber's m-line.
pub fn subscription(subscription: &SubscriptionSummary) -> Subscription<'_> {
    Subscription {
        kind: kind_name(subscription.kind),
        active: subscription.active,
        mindex: subscription.mindex,
        mid: &subscription.mid,
        crossrefid: subscription.crossrefid.as_deref(),
        ready: subscription.ready,
        send: subscription.send,
        source: subscription.source.as_ref().map(|source| Source {
            feed_id: Id(&source.feed.id.0),
            feed_display: source.feed.display.as_deref(),
            feed_metadata: source.feed.metadata.as_ref().map(object),
            feed_mid: &source.mid,
            feed_description: source.description.as_deref(),
            codec: source.codec.map(Codec::janus),
            h264_profile: source.h264_profile.as_deref(),
            vp9_profile: source.vp9_profile.as_deref(),
            playout_delay: source.delay.map(|delay| PlayoutDelay { min_delay: delay.min, max_delay: delay.max }),
        }),
    }
}

fn remotized(
    name: &'static str,
    room: &RoomId,
    feed: &FeedId,
    remote_id: Option<&str>,
    remotes: Option<&[RemoteSummary]>,
) -> Notice {
    let list = remotes.map(|remotes| remotes.iter().map(remote).collect());
    plain(name, &Remotized { videoroom: "success", room: Id(&room.0), id: Id(&feed.0), remote_id, list })
}

fn remote(of: &RemoteSummary) -> Remote<'_> {
    Remote { remote_id: &of.remote_id, host: of.to.ip().to_string(), port: of.to.port(), rtcp_port: of.rtcp_port }
}

fn forwarded(publisher: &summary::PublisherForwarders) -> Forwarded<'_> {
    Forwarded::new(identity(&publisher.who), publisher.forwarders.iter().map(forwarder).collect())
}

/// What is shown of a forwarder, without its key.
pub fn forwarder(of: &ForwarderSummary) -> Forwarder {
    Forwarder {
        stream_id: of.stream_id,
        kind: kind_name(of.kind),
        host: of.to.ip().to_string(),
        port: of.to.port(),
        local_rtcp_port: of.local_rtcp_port,
        remote_rtcp_port: of.rtcp_port,
        ssrc: of.ssrc,
        pt: of.pt,
        substream: Some(of.substream).filter(|substream| *substream > 0),
        srtp: of.srtp,
    }
}

fn new_forwarders(new: &summary::Forwarding) -> New<'static> {
    let Some(host) = new.legacy else { return New::Forwarders(new.forwarders.iter().map(forwarder).collect()) };
    let of = |kind, substream| new.forwarders.iter().find(|of| (of.kind, of.substream) == (kind, substream));
    let audio = of(MediaKind::Audio, 0);
    let [video, video_2, video_3] = [0, 1, 2].map(|substream| of(MediaKind::Video, substream));
    let id = |of: Option<&ForwarderSummary>| of.map(|of| of.stream_id);
    let port = |of: Option<&ForwarderSummary>| of.map(|of| of.to.port());
    New::RtpStream(Box::new(Rtp {
        audio_stream_id: id(audio),
        audio: port(audio),
        video_stream_id: id(video),
        video: port(video),
        video_rtcp: video.and_then(|of| of.rtcp_port),
        video_stream_id_2: id(video_2),
        video_2: port(video_2),
        video_stream_id_3: id(video_3),
        video_3: port(video_3),
        warning: "deprecated_api",
        host: host.to_string(),
    }))
}

fn participant(participant: &ParticipantSummary) -> Participant<'_> {
    let ParticipantSummary { who, dummy, remote, publisher, talking } = participant;
    Participant { who: identity(who), dummy: *dummy, remote: *remote, publisher: *publisher, talking: *talking }
}

fn listed(summary: &RoomSummary) -> Listed<'_> {
    let spec = &summary.spec;
    let names = |codecs: &[Codec]| codecs.iter().map(|codec| codec.janus()).collect::<Vec<_>>().join(",");
    let has_opus = spec.audio_codecs.contains(&Codec::Opus);
    Listed {
        room: Id(&spec.room.0),
        description: &spec.description,
        pin_required: spec.pin.is_some(),
        is_private: spec.is_private,
        max_publishers: spec.publishers,
        bitrate: spec.bitrate,
        bitrate_cap: spec.bitrate_cap,
        fir_freq: spec.fir_freq,
        require_pvtid: spec.require_pvtid,
        require_e2ee: spec.require_e2ee,
        dummy_publisher: spec.dummy_publisher,
        notify_joining: spec.notify_joining,
        audiocodec: names(&spec.audio_codecs),
        videocodec: names(&spec.video_codecs),
        opus_fec: spec.opus_fec && has_opus,
        opus_dtx: spec.opus_dtx && has_opus,
        record: false,
        lock_record: false,
        num_participants: summary.participants,
        audiolevel_ext: spec.audiolevel_ext,
        audiolevel_event: spec.audiolevel_event,
        audio_active_packets: spec.audiolevel_event.then_some(spec.audio_active_packets),
        audio_level_average: spec.audiolevel_event.then_some(spec.audio_level_average),
        videoorient_ext: spec.videoorient_ext,
        playoutdelay_ext: spec.playoutdelay_ext,
        transport_wide_cc_ext: spec.transport_wide_cc_ext,
    }
}
