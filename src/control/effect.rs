//! What a room wants done that it cannot do itself: open and close peers, wire streams to legs, tell handles.
//! A room pushes effects in the order in which they must happen; the engine carries them out.

use super::command::Event;
use super::forward::{ForwarderSpec, SrtpKey};
use super::media::{AcceptedMedia, ExtensionIds, PublishedMedia};
use super::observation::RoomObservation;
use super::talking::TalkRule;
use crate::id::{ForwarderId, HandleAddress, LegId, MemberId, StreamId};
use crate::wire::rtp::extension::PlayoutDelay;
use crate::wire::sdp::{MediaKind, Mid, Transport};

/// One consequence of a request or of a peer's change.
#[derive(Debug)]
pub enum Effect {
    /// Make the member's peer connection. The engine completes the description in the same reply with its own
    /// transport. `remote` is known when the peer offered, and comes later with `SetRemote` when we offer.
    OpenPeer {
        member: MemberId,
        /// What the peer's description says.
        remote: Option<Transport>,
    },
    /// The peer's transport is known or has changed (an ICE restart when the ufrag differs).
    SetRemote {
        member: MemberId,
        /// What the peer's description says.
        remote: Transport,
    },
    /// Fresh local credentials in the description of this reply.
    RestartIce(MemberId),
    /// End the member's peer connection; a close_notify is sent. The room has already said what it has to say, or will
    /// say it in effects behind this one; the engine does not call back for it.
    ClosePeer(MemberId),
    /// A publisher's m-line starts (or changes, when the id is known): packets of it may be received.
    SetStream {
        /// Its id in the room.
        stream: StreamId,
        member: MemberId,
        media: PublishedMedia,
    },
    /// Watch the audio levels of a stream by this rule; none ends that. A stream is not watched before it is said.
    WatchTalking {
        stream: StreamId,
        rule: Option<TalkRule>,
    },
    /// A publisher's m-line ends; its legs have been detached by effects before this one.
    RemoveStream(StreamId),
    /// A subscriber's m-line exists: SSRC and tag are fixed from now on.
    AddLeg {
        /// Its id in the room.
        leg: LegId,
        member: MemberId,
        spec: LegSpec,
    },
    /// The leg's source; none detaches it. Sequence and timestamps go on (`rewrite`).
    SetSource {
        leg: LegId,
        source: Option<StreamId>,
    },
    /// What the answer made of the leg.
    AcceptLeg {
        leg: LegId,
        media: AcceptedMedia,
    },
    /// Whether packets flow on the leg: accepted, started, not paused, `send`, and the stream relayed by its publisher.
    GateLeg {
        leg: LegId,
        open: bool,
    },
    /// The leg's packets carry this playout-delay; none is the publisher's own again.
    OverrideDelay {
        leg: LegId,
        delay: Option<PlayoutDelay>,
    },
    /// The leg is gone.
    RemoveLeg(LegId),
    /// A publisher of another server sends to this port of the shard's. [`Self::ClosePeer`] ends that.
    OpenRemote {
        member: MemberId,
        port: u16,
        /// What it is sealed with.
        srtp: Option<SrtpKey>,
    },
    /// A forwarder exists; nothing flows through it yet.
    AddForwarder {
        /// Its id in the room.
        forwarder: ForwarderId,
        /// What it is.
        spec: ForwarderSpec,
    },
    /// What flows through the forwarder from now on; none is nothing. Its numbers go on.
    RouteForwarder {
        forwarder: ForwarderId,
        source: Option<StreamId>,
    },
    /// The forwarder is gone.
    RemoveForwarder(ForwarderId),
    /// Ask the publisher of the stream for a keyframe (coalesced by the engine).
    RequestKeyframe(StreamId),
    /// REMB cap in bit/s for everything the member publishes; 0 is none.
    CapBitrate {
        member: MemberId,
        /// Bits per second.
        bps: u64,
    },
    /// Let event handlers know.
    Observe {
        /// Of which handle.
        of: HandleAddress,
        what: Box<RoomObservation>,
    },
    Tell {
        to: Vec<HandleAddress>,
        event: Event,
    },
}

/// The fixed numbers of a leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegSpec {
    pub ssrc: u32,
    /// Our RTX SSRC.
    pub rtx_ssrc: Option<u32>,
    /// Audio or video.
    pub kind: MediaKind,
    /// RTP clock in Hz.
    pub clock_rate: u32,
    /// Payload type offered.
    pub pt: u8,
    /// The m-line's tag.
    pub mid: Mid,
    /// Extension ids offered.
    pub extensions: ExtensionIds,
}
