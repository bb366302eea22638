//! What became of a datagram, and one counter per reason: nothing is lost silently.

use crate::counters::reasons;

reasons! {
    /// Why something that arrived, or was to be sent, went no further.
    pub enum DropReason {
        /// Longer than a datagram may be.
        Oversize = "oversize",
        /// The first byte belongs to no protocol of ours (RFC 7983).
        Unclassified = "unclassified",
        /// DTLS or media from a 4-tuple that no authenticated STUN check has validated.
        UnknownSource = "unknown_source",
        /// STUN that does not parse, or whose FINGERPRINT is wrong or missing.
        StunMalformed = "stun_malformed",
        /// A check for a ufrag that nobody has.
        StunUnknownUfrag = "stun_unknown_ufrag",
        /// MESSAGE-INTEGRITY wrong or missing, or the peer's ufrag is another one.
        StunUnauthorized = "stun_unauthorized",
        /// STUN that is not a Binding request.
        StunUnexpected = "stun_unexpected",
        /// A check from the address of another peer, which was heard there just now.
        StunTupleHeld = "stun_tuple_held",
        /// An authenticated check that could not be accepted: 420 or 487.
        StunRefused = "stun_refused",
        /// DTLS that had no effect: malformed, repeated, early or late.
        DtlsUnexpected = "dtls_unexpected",
        /// DTLS of another ICE agent of the client than the one whose handshake is under way (no BUNDLE).
        DtlsOtherAgent = "dtls_other_agent",
        /// Media before the handshake is done.
        NotConnected = "not_connected",
        /// SRTP or SRTCP that does not authenticate.
        SrtpUnauthorized = "srtp_unauthorized",
        /// SRTP or SRTCP seen before, or too old to tell.
        SrtpReplay = "srtp_replay",
        /// More SSRCs than a peer may have.
        SrtpTooManySources = "srtp_too_many_sources",
        /// RTP that does not parse.
        RtpMalformed = "rtp_malformed",
        /// An SSRC that no m-line announces and no MID binds.
        RtpUnknownSource = "rtp_unknown_source",
        /// A payload type that was not agreed.
        RtpPayloadType = "rtp_payload_type",
        /// One of several SSRCs that are sent at once in one m-line: another one is relayed.
        RtpSourceRefused = "rtp_source_refused",
        /// Nothing but padding: a probe, or a keepalive.
        RtpPadding = "rtp_padding",
        /// A packet that came twice with different SRTP indexes, or far outside the sequence.
        RtpSequence = "rtp_sequence",
        /// RTX that repairs nothing: a probe of the sender's bandwidth estimation.
        RtxProbe = "rtx_probe",
        /// RTCP that does not parse.
        RtcpMalformed = "rtcp_malformed",
        /// A packet left the history before its turn to be sent.
        HistoryOverrun = "history_overrun",
        /// Toward a subscriber: waiting for a keyframe.
        AwaitingKeyframe = "awaiting_keyframe",
        /// Toward a subscriber: older than the point at which its source was switched.
        BeforeSwitch = "before_switch",
        /// The peer has no validated path (yet, or any more).
        NoPath = "no_path",
        /// An outgoing packet would not fit into a segment.
        SegmentOverflow = "segment_overflow",
        /// An SRTP index was asked for twice; refused to keep nonces unique.
        IndexUsed = "index_used",
        /// The room of this packet failed; see `rooms_failed`.
        RoomFailed = "room_failed",
        /// An event for a signalling shard whose lane is full.
        EventLaneFull = "event_lane_full",
        /// Something that event handlers wanted to know, while the lane to their signalling shard is half full.
        ObservationLaneFull = "observation_lane_full",
        /// A packet that its capture had no room for.
        CaptureOverflow = "capture_overflow",
    }

    /// One counter per [`DropReason`].
    pub struct Drops;
}

/// What became of one datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Media, kept for its legs.
    Accepted,
    /// Handled here: STUN, DTLS, RTCP.
    Consumed,
    /// Gone, and why.
    Drop(DropReason),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_counted_under_its_own_name() {
        let mut drops = Drops::default();
        drops.count(DropReason::Oversize);
        drops.add(DropReason::CaptureOverflow, 7);
        let counted: Vec<_> = drops.named().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [("oversize", 1), ("capture_overflow", 7)]);
        let mut names: Vec<_> = drops.named().map(|(name, _)| name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
