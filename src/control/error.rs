//! Why a room refuses, with the VideoRoom error code and Janus' text in one place.

use std::fmt;
use std::net::IpAddr;

use crate::id::{FeedId, RoomId};
use crate::limits::COPIES_PER_SUBSCRIPTION_MAX;
use crate::wire::sdp::Mid;

/// One variant per reason; ids, not strings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoomError {
    /// 423: the request is not one for this role; carries its name.
    UnknownRequest(Box<str>),
    /// 425: this handle has joined already.
    AlreadyPublisher,
    /// 425: this handle has joined already.
    AlreadySubscriber,
    /// 425: this handle has left, or its room is gone.
    HandleFinished,
    NoSuchRoom(RoomId),
    RoomExists(RoomId),
    NoSuchFeed(FeedId),
    NoSuchPublishedMid(Box<Mid>),
    NoSuchFeedMid(Box<Mid>, FeedId),
    NoSuchSubscriptionMid(Box<Mid>),
    NoSuchUser(FeedId, RoomId),
    NoSuchStream(Box<Mid>),
    NoSuchPublisher(FeedId),
    NoSuchRemotePublisher(FeedId),
    /// 430: a publisher of another server is not shown to a third.
    OnlyLocal,
    /// 428: nothing is called so.
    NoSuchRemotization(Box<str>),
    /// 428: no forwarder has this number.
    NoSuchForwarder(u64),
    /// 428: a dummy cannot be thrown out.
    DummyUser,
    /// 429: the room has a pin or secret and none was given; carries the element's name.
    Missing(&'static str),
    /// 430: several stream entries, one of them without `mid`.
    MidNeeded,
    /// 430: a list with something in it that is no string; carries the element's name.
    NotAString(&'static str),
    /// 430: two streams would be sealed with one key under one SSRC.
    SharedSsrc,
    /// 430: no media address of ours is of that address' family.
    Unreachable(IpAddr),
    AudioCodecUnavailable,
    VideoCodecUnavailable,
    /// 431: an offer from a subscriber.
    OnlyPublishersOffer,
    PublishersFull(usize),
    /// 433: wrong pin, secret or admin key; carries which.
    Unauthorized(&'static str),
    PrivateIdNeeded,
    /// 433: the room looks at tokens, and this is none of them.
    NotAllowed,
    /// 433: the participant that the subscriber belongs to was thrown out.
    Kicked,
    /// 433: the room takes nothing else.
    E2eeRequired,
    AlreadyPublished,
    NotPublished,
    IdTaken(FeedId),
    /// 436: something is called so.
    RemotizationExists(Box<str>),
    /// 437: an offer with which nothing can be done; carries what is wrong with it.
    InvalidSdp(&'static str),
    /// 438: some of the feeds are encrypted end to end and some are not.
    MixedE2ee,
    /// 438: the same in a join, which this feed does not fit in. Janus has one text for both ways round.
    UnlikeE2ee(FeedId),
    /// 499: one subscription has the same stream on as many m-lines as it may.
    TooManyCopies(Box<Mid>, FeedId),
    /// 499: this server will do it one day; carries the request's name.
    NotYet(&'static str),
    /// 499: a bound of ours is reached; carries the setting or limit.
    Exhausted(&'static str),
}

impl RoomError {
    /// The VideoRoom `error_code`.
    pub fn code(&self) -> u16 {
        match self {
            RoomError::UnknownRequest(_) => 423,
            RoomError::AlreadyPublisher | RoomError::AlreadySubscriber | RoomError::HandleFinished => 425,
            RoomError::NoSuchRoom(_) => 426,
            RoomError::RoomExists(_) => 427,
            RoomError::NoSuchFeed(_)
            | RoomError::NoSuchPublishedMid(_)
            | RoomError::NoSuchFeedMid(..)
            | RoomError::NoSuchSubscriptionMid(_)
            | RoomError::NoSuchUser(..)
            | RoomError::NoSuchStream(_)
            | RoomError::NoSuchPublisher(_)
            | RoomError::NoSuchRemotePublisher(_)
            | RoomError::NoSuchRemotization(_)
            | RoomError::NoSuchForwarder(_) => 428,
            RoomError::DummyUser => 428,
            RoomError::Missing(_) => 429,
            RoomError::MidNeeded
            | RoomError::NotAString(_)
            | RoomError::SharedSsrc
            | RoomError::OnlyLocal
            | RoomError::Unreachable(_)
            | RoomError::AudioCodecUnavailable
            | RoomError::VideoCodecUnavailable => 430,
            RoomError::OnlyPublishersOffer => 431,
            RoomError::PublishersFull(_) => 432,
            RoomError::Unauthorized(_)
            | RoomError::PrivateIdNeeded
            | RoomError::NotAllowed
            | RoomError::Kicked
            | RoomError::E2eeRequired => 433,
            RoomError::AlreadyPublished => 434,
            RoomError::NotPublished => 435,
            RoomError::IdTaken(_) | RoomError::RemotizationExists(_) => 436,
            RoomError::InvalidSdp(_) => 437,
            RoomError::MixedE2ee | RoomError::UnlikeE2ee(_) => 438,
            RoomError::TooManyCopies(..) | RoomError::NotYet(_) | RoomError::Exhausted(_) => 499,
        }
    }
}

impl fmt::Display for RoomError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RoomError::UnknownRequest(name) => write!(f, "Unknown request '{name}'"),
            RoomError::AlreadyPublisher => f.write_str("Already in as a publisher on this handle"),
            RoomError::AlreadySubscriber => f.write_str("Already in as a subscriber on this handle"),
            RoomError::HandleFinished => f.write_str("Not in a room (create a new handle)"),
            RoomError::NoSuchRoom(room) => write!(f, "No such room ({room})"),
            RoomError::RoomExists(room) => write!(f, "Room {room} already exists"),
            RoomError::NoSuchFeed(feed) => write!(f, "No such feed ({feed})"),
            RoomError::NoSuchPublishedMid(mid) => write!(f, "No such mid '{mid}' published"),
            RoomError::NoSuchFeedMid(mid, feed) => write!(f, "No such mid '{mid}' in feed ({feed})"),
            RoomError::NoSuchSubscriptionMid(mid) => write!(f, "No such mid '{mid}' in subscription"),
            RoomError::NoSuchUser(feed, room) => write!(f, "No such user {feed} in room {room}"),
            RoomError::NoSuchStream(mid) => write!(f, "No such stream {mid}"),
            RoomError::NoSuchPublisher(feed) => write!(f, "No such publisher ({feed})"),
            RoomError::NoSuchRemotePublisher(feed) => write!(f, "No such remote publisher ({feed})"),
            RoomError::OnlyLocal => f.write_str("Only local publishers can be remotized"),
            RoomError::NoSuchRemotization(id) => write!(f, "No such remotization ({id})"),
            RoomError::NoSuchForwarder(id) => write!(f, "No such stream ({id})"),
            RoomError::Missing(element) => write!(f, "Missing mandatory element ({element})"),
            RoomError::MidNeeded => f.write_str("Invalid value (mid can't be null in a streams array)"),
            RoomError::NotAString(name) => write!(f, "Invalid element in the {name} array (not a string)"),
            RoomError::SharedSsrc => f.write_str("Invalid element (ssrc: SRTP with one key needs one for each stream)"),
            RoomError::Unreachable(ip) => write!(f, "Invalid element (host: no media address can reach {ip})"),
            RoomError::AudioCodecUnavailable => f.write_str("Audio codec unavailable in this room"),
            RoomError::VideoCodecUnavailable => f.write_str("Video codec unavailable in this room"),
            RoomError::OnlyPublishersOffer => f.write_str("Only publishers send offers"),
            RoomError::PublishersFull(max) => write!(f, "Maximum number of publishers ({max}) already reached"),
            RoomError::Unauthorized(what) => write!(f, "Unauthorized (wrong {what})"),
            RoomError::PrivateIdNeeded => f.write_str("Unauthorized (this room requires a valid private_id)"),
            RoomError::NotAllowed => f.write_str("Unauthorized (not in the allowed list)"),
            RoomError::Kicked => f.write_str("Unauthorized, you have been kicked"),
            RoomError::DummyUser => f.write_str("Can't kick dummy users"),
            RoomError::E2eeRequired => f.write_str("Room requires end-to-end encrypted media"),
            RoomError::MixedE2ee => f.write_str("Can't mix normal and end-to-end encrypted subscriptions"),
            RoomError::UnlikeE2ee(feed) => {
                write!(f, "Can't have not end-to-end encrypted feed in this subscription ({feed})")
            }
            RoomError::AlreadyPublished => f.write_str("Can't publish, already published"),
            RoomError::NotPublished => f.write_str("Can't unpublish, not published"),
            RoomError::IdTaken(feed) => write!(f, "User ID {feed} already exists"),
            RoomError::RemotizationExists(id) => write!(f, "Remotization already exists ({id})"),
            RoomError::InvalidSdp(what) => f.write_str(what),
            RoomError::TooManyCopies(mid, feed) => {
                let max = COPIES_PER_SUBSCRIPTION_MAX;
                write!(f, "A subscription can't have mid '{mid}' of feed ({feed}) more than {max} times")
            }
            RoomError::NotYet(name) => write!(f, "Not available yet, a later version of this server will ({name})"),
            RoomError::Exhausted(what) => write!(f, "Out of resources ({what})"),
        }
    }
}

impl std::error::Error for RoomError {}
