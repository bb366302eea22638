//! Every bound of the engine, with its sum and its reason.

use std::fmt;
use std::time::Duration;

/// Largest UDP payload accepted as one datagram; larger ones are dropped and counted.
pub const DATAGRAM_MAX: usize = 1500;
/// Largest control datagram we send: STUN, DTLS and RTCP stay well under it.
pub const SEGMENT_MAX: usize = 1280;
/// SSRCs that one peer may send with, announced and bound: media and RTX of every m-line, and as many again that were
/// replaced and are still heard.
pub const SOURCES_PER_PEER: usize = 4 * MEDIA_LINES_MAX;
/// An SSRC that was silent for so long makes room for another when there is none left.
pub const SOURCE_SILENCE: Duration = Duration::from_secs(10);
/// Notices that wait for the log.
pub const NOTICES_MAX: usize = 16;
/// A peer that has no room for an SSRC is told of once in this time, in the log and to event handlers; failed handshakes too.
pub const NOTICE_INTERVAL: Duration = Duration::from_secs(60);
/// An m-line from which nothing came for this long is reported as not receiving (Janus' `no_media_timer`).
pub const NO_MEDIA_TIMEOUT: Duration = Duration::from_secs(1);
/// One GSO message stays under the kernel's 64 KiB.
pub const MESSAGE_BYTES_MAX: usize = 63 * 1024;
/// And under its segment count (UDP_MAX_SEGMENTS was 64 before Linux 6.9).
pub const MESSAGE_SEGMENTS_MAX: usize = 64;
/// The send arena: L2-sized; it is flushed whenever it is full.
pub const SEND_ARENA_BYTES: usize = 256 * 1024;
/// Messages in the arena: small audio datagrams to that many peers fill it first.
pub const SEND_MESSAGES_MAX: usize = 1024;

/// Validated 4-tuples per peer: host, a few interfaces, a NAT rebinding.
pub const TUPLES_PER_PEER: usize = 8;
/// m-lines in one description.
pub const MEDIA_LINES_MAX: usize = 256;
/// Bytes of one m-line with all that belongs to it, on the average of a description. Chromium needs 5 kB for video with
/// every codec that it has; our own need less, with their longest fmtp and dozens of candidates.
pub const MEDIA_LINE_BYTES: usize = 8 * 1024;
/// Bytes of one SDP: any of [`MEDIA_LINES_MAX`] m-lines fits, so that whatever we offer can be answered.
pub const SDP_BYTES_MAX: usize = MEDIA_LINES_MAX * MEDIA_LINE_BYTES;
/// Bytes of one Janus message; also of one WebSocket message and of what waits for one session's long polls. JSON writes
/// the ends of an SDP's lines with four bytes instead of two, which is less than a quarter; beside it stand as many
/// streams as it has m-lines.
pub const MESSAGE_JSON_MAX: usize = SDP_BYTES_MAX + SDP_BYTES_MAX / 4 + MEDIA_LINES_MAX * 1024;
/// Bytes of one answer, such as a list: 16384 rooms with ordinary descriptions. A longer one is refused before it is
/// made.
pub const REPLY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Rooms of one media shard. Each holds a few labels: together they stay under 300 MiB.
pub const ROOMS_PER_SHARD_MAX: usize = 16 * 1024;
/// Handles in one room, those that have left and are not detached yet included.
pub const MEMBERS_PER_ROOM_MAX: usize = 16 * 1024;
/// Bytes of one text that a room keeps and shows to others: a display, a secret. Everybody who joins is sent all of them.
pub const LABEL_BYTES_MAX: usize = 4 * 1024;
/// Bytes of a client's name for its handle, which is kept with it and shown to operators.
pub const OPAQUE_ID_BYTES_MAX: usize = 1024;
/// Bytes of a room's or a stream's description. Lists and announcements repeat each of them.
pub const DESCRIPTION_BYTES_MAX: usize = 1024;
/// M-lines of one subscription with the same stream: each is sealed and sent anew.
pub const COPIES_PER_SUBSCRIPTION_MAX: usize = 4;
/// Bytes of a room's or participant's id that is a text.
pub const NAME_BYTES_MAX: usize = 256;
/// Bytes of one participant's `metadata` as JSON.
pub const METADATA_BYTES_MAX: usize = 8 * 1024;
/// The tokens of one room's `allowed`, each with what keeping it costs. All are looked at when somebody joins.
pub const TOKENS_BYTES_MAX: usize = 256 * 1024;
/// Bytes of one token that opens the API. Signed ones carry a list of plugins or rooms.
pub const TOKEN_BYTES_MAX: usize = 1024;
/// Tokens that the Admin API stores: with their longest texts under 32 MiB a signalling shard.
pub const STORED_TOKENS_MAX: usize = 16 * 1024;
/// RTP forwarders of one room. Each costs what a subscriber's m-line does, and nobody answers for its receiver.
pub const FORWARDERS_PER_ROOM_MAX: usize = 256;
/// Publishers of one room that are shown to other servers, each time. Each has a forwarder for every m-line.
pub const REMOTIZATIONS_PER_ROOM_MAX: usize = 64;
/// A publisher of another server that has been silent for so long may come from elsewhere.
pub const REMOTE_SILENCE: Duration = Duration::from_secs(5);
/// Nesting of one JSON document.
pub const JSON_DEPTH_MAX: usize = 64;

/// Plaintext history of one audio stream (RFC 4588 service): 1 s of Opus with room to spare.
pub const AUDIO_HISTORY_BYTES: usize = 16 * 1024;
/// Plaintext history of one video layer: 1 s at 4 Mbit/s.
pub const VIDEO_HISTORY_BYTES: usize = 512 * 1024;
/// All histories of a shard together: 400 video layers and their audio. Beyond it new histories are smaller.
pub const HISTORY_REGION_BYTES: usize = 256 * 1024 * 1024;
/// Nothing older than this is resent.
pub const HISTORY_AGE: Duration = Duration::from_secs(1);

/// Layers of one stream: three simulcast encodings.
pub const LAYERS_MAX: usize = 3;

/// At most one PLI per stream in this time (RFC 4585 §6.3.1 leaves the pace to us).
pub const KEYFRAME_REQUEST_INTERVAL: Duration = Duration::from_millis(500);
/// RTCP reports (RFC 3550 §6.2 with the reduced minimum of RFC 4585).
pub const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Reports wait for the next of these instants, so that those of many peers share a turn: a wake-up costs as much as
/// sealing fifty packets.
pub const REPORT_SLOT: Duration = Duration::from_millis(100);
/// A gap is asked for when it is that old: before, it may only be reordering.
pub const NACK_DELAY: Duration = Duration::from_millis(10);
/// And again after that time, or after the time that answers take when that is longer.
pub const NACK_INTERVAL: Duration = Duration::from_millis(40);
/// So often, and no longer than [`HISTORY_AGE`].
pub const NACK_TRIES: u8 = 10;
/// Packets of one video layer that are asked for at a time: half a second without packets at 4 Mbit/s. Beyond it a
/// keyframe costs less. Each takes an entry of one NACK at worst, and all fit one datagram.
pub const VIDEO_MISSING_MAX: usize = 256;
/// The same for audio: 1.3 s.
pub const AUDIO_MISSING_MAX: usize = 64;
/// Packets of a video leg that can be resent: 1 s at 4 Mbit/s, as in [`VIDEO_HISTORY_BYTES`]. 16 bytes each.
pub const VIDEO_SENT_MAX: usize = 512;
/// The same for audio: 2.5 s.
pub const AUDIO_SENT_MAX: usize = 128;
/// A packet is resent at most once in this time, or in a round trip when that is longer.
pub const RESEND_INTERVAL: Duration = Duration::from_millis(20);
/// Numbers of one NACK that are looked at: more than a leg remembers cannot be served.
pub const NACKED_MAX: usize = VIDEO_SENT_MAX;
/// Resends that a leg may have saved up; it earns one with every second packet that it sends.
pub const RESENDS_SAVED_MAX: u16 = 128;

/// TWCC feedback toward a publisher: Chromium's own receivers use 50 to 250 ms, so that it takes a twentieth of the
/// bandwidth.
pub const TWCC_INTERVAL_MIN: Duration = Duration::from_millis(50);
/// The longest, for publishers that send little.
pub const TWCC_INTERVAL_MAX: Duration = Duration::from_millis(250);
/// The first one, before anything is known.
pub const TWCC_INTERVAL: Duration = Duration::from_millis(100);
/// REMB refresh while a bitrate cap holds.
pub const REMB_INTERVAL: Duration = Duration::from_secs(5);

/// A DTLS handshake that takes longer ends the peer (`DTLS timeout`).
pub const DTLS_TIMEOUT: Duration = Duration::from_secs(20);
/// A peer whose first valid check does not come within this time is closed (`ICE failed`).
pub const ICE_CONNECT_TIMEOUT: Duration = Duration::from_secs(45);

/// A command waits this long for its reply; then the client gets an error.
pub const TICKET_DEADLINE: Duration = Duration::from_secs(10);
/// Commands a media shard takes per turn.
pub const COMMANDS_PER_TURN: usize = 32;
/// Events that wait for room in a lane; with more, the sessions concerned are closed.
pub const EVENTS_WAITING_MAX: usize = 16 * 1024;
/// Envelopes in one mailbox lane.
pub const LANE_DEPTH: usize = 4096;

/// Bytes of one capture; then it ends.
pub const CAPTURE_BYTES_MAX: u64 = 256 << 20;
/// How long one capture runs; then it ends.
pub const CAPTURE_TIME_MAX: Duration = Duration::from_secs(600);
/// Captures at a time.
pub const CAPTURES_MAX: usize = 16;
/// Bytes of a capture that wait for the disk: a fifth of a second at 80 Mbit/s.
pub const CAPTURE_RING_BYTES: usize = 2 << 20;

/// How much a bound allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    Bytes(u64),
    Time(Duration),
    /// A number, and of what.
    Count(u64, &'static str),
}

/// A bound that operators or clients meet.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// The constant's name.
    pub name: &'static str,
    pub amount: Amount,
    /// What happens past it.
    pub beyond: &'static str,
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Amount::Bytes(bytes) if bytes % (1 << 20) == 0 => write!(f, "{} MiB", bytes >> 20),
            Amount::Bytes(bytes) if bytes % (1 << 10) == 0 => write!(f, "{} KiB", bytes >> 10),
            Amount::Bytes(bytes) => write!(f, "{bytes} bytes"),
            Amount::Time(time) if time.subsec_millis() == 0 => write!(f, "{} s", time.as_secs()),
            Amount::Time(time) => write!(f, "{} ms", time.as_millis()),
            Amount::Count(count, what) => write!(f, "{count} {what}"),
        }
    }
}

/// What `portunus limits` prints. A constant of this file is here or in the test's list of internal ones.
pub const BOUNDS: &[Bound] = &[
    Bound {
        name: "DATAGRAM_MAX",
        amount: Amount::Bytes(DATAGRAM_MAX as u64),
        beyond: "a longer datagram is dropped and counted",
    },
    Bound {
        name: "MEDIA_LINES_MAX",
        amount: Amount::Count(MEDIA_LINES_MAX as u64, "m-lines of one description"),
        beyond: "the description is refused",
    },
    Bound { name: "SDP_BYTES_MAX", amount: Amount::Bytes(SDP_BYTES_MAX as u64), beyond: "the description is refused" },
    Bound {
        name: "MESSAGE_JSON_MAX",
        amount: Amount::Bytes(MESSAGE_JSON_MAX as u64),
        beyond: "the request is refused, a WebSocket is closed, and a session that fetches no events ends",
    },
    Bound {
        name: "REPLY_BYTES_MAX",
        amount: Amount::Bytes(REPLY_BYTES_MAX as u64),
        beyond: "the answer, such as a list, is an error",
    },
    Bound {
        name: "JSON_DEPTH_MAX",
        amount: Amount::Count(JSON_DEPTH_MAX as u64, "levels"),
        beyond: "the request is refused as invalid JSON",
    },
    Bound {
        name: "ROOMS_PER_SHARD_MAX",
        amount: Amount::Count(ROOMS_PER_SHARD_MAX as u64, "rooms of one media shard"),
        beyond: "create is refused",
    },
    Bound {
        name: "MEMBERS_PER_ROOM_MAX",
        amount: Amount::Count(MEMBERS_PER_ROOM_MAX as u64, "handles in one room"),
        beyond: "join is refused",
    },
    Bound {
        name: "LABEL_BYTES_MAX",
        amount: Amount::Bytes(LABEL_BYTES_MAX as u64),
        beyond: "a longer display, secret or pin is refused",
    },
    Bound {
        name: "OPAQUE_ID_BYTES_MAX",
        amount: Amount::Bytes(OPAQUE_ID_BYTES_MAX as u64),
        beyond: "attach is refused",
    },
    Bound {
        name: "DESCRIPTION_BYTES_MAX",
        amount: Amount::Bytes(DESCRIPTION_BYTES_MAX as u64),
        beyond: "a longer description of a room or stream is refused",
    },
    Bound {
        name: "NAME_BYTES_MAX",
        amount: Amount::Bytes(NAME_BYTES_MAX as u64),
        beyond: "a longer id of a room or participant is refused",
    },
    Bound {
        name: "METADATA_BYTES_MAX",
        amount: Amount::Bytes(METADATA_BYTES_MAX as u64),
        beyond: "longer metadata is refused",
    },
    Bound {
        name: "COPIES_PER_SUBSCRIPTION_MAX",
        amount: Amount::Count(COPIES_PER_SUBSCRIPTION_MAX as u64, "m-lines of one subscription with the same stream"),
        beyond: "the subscription is refused",
    },
    Bound {
        name: "TOKENS_BYTES_MAX",
        amount: Amount::Bytes(TOKENS_BYTES_MAX as u64),
        beyond: "more tokens in one room's allowed are refused",
    },
    Bound {
        name: "TOKEN_BYTES_MAX",
        amount: Amount::Bytes(TOKEN_BYTES_MAX as u64),
        beyond: "a longer token is refused",
    },
    Bound {
        name: "STORED_TOKENS_MAX",
        amount: Amount::Count(STORED_TOKENS_MAX as u64, "tokens"),
        beyond: "add_token is refused",
    },
    Bound {
        name: "FORWARDERS_PER_ROOM_MAX",
        amount: Amount::Count(FORWARDERS_PER_ROOM_MAX as u64, "RTP forwarders of one room"),
        beyond: "rtp_forward is refused",
    },
    Bound {
        name: "REMOTIZATIONS_PER_ROOM_MAX",
        amount: Amount::Count(REMOTIZATIONS_PER_ROOM_MAX as u64, "publishers of one room shown to other servers"),
        beyond: "publish_remotely is refused",
    },
    Bound {
        name: "REMOTE_SILENCE",
        amount: Amount::Time(REMOTE_SILENCE),
        beyond: "a remote publisher without SRTP that was silent for longer may come from another address",
    },
    Bound {
        name: "SOURCES_PER_PEER",
        amount: Amount::Count(SOURCES_PER_PEER as u64, "SSRCs of one publisher"),
        beyond: "packets of a further SSRC are dropped and counted",
    },
    Bound {
        name: "SOURCE_SILENCE",
        amount: Amount::Time(SOURCE_SILENCE),
        beyond: "an SSRC that was silent for longer makes room for another",
    },
    Bound {
        name: "TUPLES_PER_PEER",
        amount: Amount::Count(TUPLES_PER_PEER as u64, "validated address pairs of one peer"),
        beyond: "a further pair takes the place of the one that was checked longest ago",
    },
    Bound {
        name: "HISTORY_REGION_BYTES",
        amount: Amount::Bytes(HISTORY_REGION_BYTES as u64),
        beyond: "new histories of a media shard are smaller, so that fewer packets can be resent",
    },
    Bound { name: "HISTORY_AGE", amount: Amount::Time(HISTORY_AGE), beyond: "an older packet is not resent" },
    Bound {
        name: "RESENDS_SAVED_MAX",
        amount: Amount::Count(RESENDS_SAVED_MAX as u64, "packets"),
        beyond: "a subscriber that asks for more gets one resend for every second packet it is sent",
    },
    Bound {
        name: "NO_MEDIA_TIMEOUT",
        amount: Amount::Time(NO_MEDIA_TIMEOUT),
        beyond: "an m-line that was silent for longer is reported as not receiving",
    },
    Bound { name: "DTLS_TIMEOUT", amount: Amount::Time(DTLS_TIMEOUT), beyond: "the peer is closed: DTLS timeout" },
    Bound {
        name: "ICE_CONNECT_TIMEOUT",
        amount: Amount::Time(ICE_CONNECT_TIMEOUT),
        beyond: "the peer is closed: ICE failed",
    },
    Bound {
        name: "TICKET_DEADLINE",
        amount: Amount::Time(TICKET_DEADLINE),
        beyond: "a request without a reply from its media shard gets an error",
    },
    Bound {
        name: "EVENTS_WAITING_MAX",
        amount: Amount::Count(EVENTS_WAITING_MAX as u64, "events that wait for a signalling shard"),
        beyond: "the sessions concerned are closed",
    },
    Bound { name: "CAPTURE_BYTES_MAX", amount: Amount::Bytes(CAPTURE_BYTES_MAX), beyond: "the capture ends" },
    Bound { name: "CAPTURE_TIME_MAX", amount: Amount::Time(CAPTURE_TIME_MAX), beyond: "the capture ends" },
    Bound {
        name: "CAPTURES_MAX",
        amount: Amount::Count(CAPTURES_MAX as u64, "captures at a time"),
        beyond: "a further capture is refused",
    },
    Bound {
        name: "CAPTURE_RING_BYTES",
        amount: Amount::Bytes(CAPTURE_RING_BYTES as u64),
        beyond: "packets that the disk is too slow for are missing from the capture and counted",
    },
];

const _: () = assert!(SEGMENT_MAX <= DATAGRAM_MAX);
const _: () = assert!(4 * VIDEO_MISSING_MAX + 128 <= SEGMENT_MAX);
const _: () = assert!(VIDEO_SENT_MAX.is_power_of_two() && AUDIO_SENT_MAX.is_power_of_two());
const _: () = assert!(MESSAGE_BYTES_MAX < 65_536 - 48);
const _: () = assert!(SEND_ARENA_BYTES >= 2 * MESSAGE_BYTES_MAX);

#[cfg(test)]
mod tests {
    use super::*;

    /// Bounds of the engine's own pace and memory, which nobody outside can reach or change.
    const INTERNAL: &[&str] = &[
        "SEGMENT_MAX",
        "NOTICES_MAX",
        "NOTICE_INTERVAL",
        "MESSAGE_BYTES_MAX",
        "MESSAGE_SEGMENTS_MAX",
        "SEND_ARENA_BYTES",
        "SEND_MESSAGES_MAX",
        "MEDIA_LINE_BYTES",
        "AUDIO_HISTORY_BYTES",
        "VIDEO_HISTORY_BYTES",
        "LAYERS_MAX",
        "KEYFRAME_REQUEST_INTERVAL",
        "REPORT_INTERVAL",
        "REPORT_SLOT",
        "NACK_DELAY",
        "NACK_INTERVAL",
        "NACK_TRIES",
        "VIDEO_MISSING_MAX",
        "AUDIO_MISSING_MAX",
        "VIDEO_SENT_MAX",
        "AUDIO_SENT_MAX",
        "RESEND_INTERVAL",
        "NACKED_MAX",
        "TWCC_INTERVAL_MIN",
        "TWCC_INTERVAL_MAX",
        "TWCC_INTERVAL",
        "REMB_INTERVAL",
        "COMMANDS_PER_TURN",
        "LANE_DEPTH",
        "BOUNDS",
    ];

    #[test]
    fn every_constant_is_printed_or_internal() {
        let source = include_str!("limits.rs");
        let names: Vec<&str> = source
            .lines()
            .filter_map(|line| line.strip_prefix("pub const ")?.split_once(':').map(|(name, _)| name))
            .collect();
        assert!(names.len() > BOUNDS.len());
        for name in &names {
            let printed = BOUNDS.iter().filter(|bound| bound.name == *name).count();
            let internal = INTERNAL.iter().filter(|internal| *internal == name).count();
            assert_eq!(printed + internal, 1, "{name} is neither in BOUNDS nor internal, or in both");
        }
        for name in BOUNDS.iter().map(|bound| bound.name).chain(INTERNAL.iter().copied()) {
            assert!(names.contains(&name), "{name} is no constant of this file");
        }
        // A name stands with its own value.
        for bound in BOUNDS {
            let row = format!("name: \"{}\"", bound.name);
            let from = source.find(&row).expect("its row");
            let value = source[from + row.len()..].split_once("beyond").expect("what happens").0;
            assert!(value.contains(bound.name), "{} shows another constant", bound.name);
        }
    }

    #[test]
    fn amounts_have_the_largest_unit_that_is_exact() {
        for (amount, text) in [
            (Amount::Bytes(1500), "1500 bytes"),
            (Amount::Bytes(2 << 20), "2 MiB"),
            (Amount::Bytes(3 << 10), "3 KiB"),
            (Amount::Time(Duration::from_millis(1500)), "1500 ms"),
            (Amount::Time(Duration::from_secs(20)), "20 s"),
            (Amount::Count(4, "rooms"), "4 rooms"),
        ] {
            assert_eq!(amount.to_string(), text);
        }
    }
}
