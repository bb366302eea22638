//! What became of a datagram, and one counter per reason: nothing is lost silently.

/// Why something that arrived, or was to be sent, went no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// Longer than a datagram may be.
    Oversize,
    /// The first byte belongs to no protocol of ours (RFC 7983).
    Unclassified,
    /// DTLS or media from a 4-tuple that no authenticated STUN check has validated.
    UnknownSource,
    /// STUN that does not parse, or whose FINGERPRINT is wrong or missing.
    StunMalformed,
    /// A check for a ufrag that nobody has.
    StunUnknownUfrag,
    /// MESSAGE-INTEGRITY wrong or missing, or the peer's ufrag is another one.
    StunUnauthorized,
    /// STUN that is not a Binding request.
    StunUnexpected,
    /// A check from the address of another peer, which was heard there just now.
    StunTupleHeld,
    /// An authenticated check that could not be accepted: 420 or 487.
    StunRefused,
    /// DTLS that had no effect: malformed, repeated, early or late.
    DtlsUnexpected,
    /// DTLS of another ICE agent of the client than the one whose handshake is under way (no BUNDLE).
    DtlsOtherAgent,
    /// Media before the handshake is done.
    NotConnected,
    /// SRTP or SRTCP that does not authenticate.
    SrtpUnauthorized,
    /// SRTP or SRTCP seen before, or too old to tell.
    SrtpReplay,
    /// More SSRCs than a peer may have.
    SrtpTooManySources,
    /// RTP that does not parse.
    RtpMalformed,
    /// An SSRC that no m-line announces and no MID binds.
    RtpUnknownSource,
    /// A payload type that was not agreed.
    RtpPayloadType,
    /// One of several SSRCs that are sent at once in one m-line: another one is relayed.
    RtpSourceRefused,
    /// Nothing but padding: a probe, or a keepalive.
    RtpPadding,
    /// A packet that came twice with different SRTP indexes, or far outside the sequence.
    RtpSequence,
    /// RTX that repairs nothing: a probe of the sender's bandwidth estimation.
    RtxProbe,
    /// RTCP that does not parse.
    RtcpMalformed,
    /// A packet left the history before its turn to be sent.
    HistoryOverrun,
    /// Toward a subscriber: waiting for a keyframe.
    AwaitingKeyframe,
    /// Toward a subscriber: older than the point at which its source was switched.
    BeforeSwitch,
    /// The peer has no validated path (yet, or any more).
    NoPath,
    /// An outgoing packet would not fit into a segment.
    SegmentOverflow,
    /// An SRTP index was asked for twice; refused to keep nonces unique.
    IndexUsed,
    /// The room of this packet failed; see `rooms_failed`.
    RoomFailed,
    /// An event for a signalling shard whose lane is full.
    EventLaneFull,
    /// Something that event handlers wanted to know, while the lane to their signalling shard is half full.
    ObservationLaneFull,
    /// A packet that its capture had no room for.
    CaptureOverflow,
}

const NAMES: [(DropReason, &str); 33] = [
    (DropReason::Oversize, "oversize"),
    (DropReason::Unclassified, "unclassified"),
    (DropReason::UnknownSource, "unknown_source"),
    (DropReason::StunMalformed, "stun_malformed"),
    (DropReason::StunUnknownUfrag, "stun_unknown_ufrag"),
    (DropReason::StunUnauthorized, "stun_unauthorized"),
    (DropReason::StunUnexpected, "stun_unexpected"),
    (DropReason::StunTupleHeld, "stun_tuple_held"),
    (DropReason::StunRefused, "stun_refused"),
    (DropReason::DtlsUnexpected, "dtls_unexpected"),
    (DropReason::DtlsOtherAgent, "dtls_other_agent"),
    (DropReason::NotConnected, "not_connected"),
    (DropReason::SrtpUnauthorized, "srtp_unauthorized"),
    (DropReason::SrtpReplay, "srtp_replay"),
    (DropReason::SrtpTooManySources, "srtp_too_many_sources"),
    (DropReason::RtpMalformed, "rtp_malformed"),
    (DropReason::RtpUnknownSource, "rtp_unknown_source"),
    (DropReason::RtpPayloadType, "rtp_payload_type"),
    (DropReason::RtpSourceRefused, "rtp_source_refused"),
    (DropReason::RtpPadding, "rtp_padding"),
    (DropReason::RtpSequence, "rtp_sequence"),
    (DropReason::RtxProbe, "rtx_probe"),
    (DropReason::RtcpMalformed, "rtcp_malformed"),
    (DropReason::HistoryOverrun, "history_overrun"),
    (DropReason::AwaitingKeyframe, "awaiting_keyframe"),
    (DropReason::BeforeSwitch, "before_switch"),
    (DropReason::NoPath, "no_path"),
    (DropReason::SegmentOverflow, "segment_overflow"),
    (DropReason::IndexUsed, "index_used"),
    (DropReason::RoomFailed, "room_failed"),
    (DropReason::EventLaneFull, "event_lane_full"),
    (DropReason::ObservationLaneFull, "observation_lane_full"),
    (DropReason::CaptureOverflow, "capture_overflow"),
];

/// One counter per [`DropReason`].
#[derive(Debug)]
pub struct Drops([u64; NAMES.len()]);

impl Default for Drops {
    fn default() -> Drops {
        Drops([0; NAMES.len()])
    }
}

impl Drops {
    /// Counts one.
    pub fn count(&mut self, reason: DropReason) {
        self.add(reason, 1);
    }

    /// Counts several.
    pub fn add(&mut self, reason: DropReason, n: u64) {
        self.0[reason as usize] += n;
    }

    /// How many so far.
    pub fn of(&self, reason: DropReason) -> u64 {
        self.0[reason as usize]
    }

    /// (name, count) pairs, zeros included.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        NAMES.iter().map(|&(reason, name)| (name, self.of(reason)))
    }
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
    fn every_reason_has_its_own_counter_and_name() {
        let mut drops = Drops::default();
        for (i, (reason, _)) in NAMES.iter().enumerate() {
            assert_eq!(*reason as usize, i, "{reason:?} stands at its own index");
            drops.add(*reason, 1 + i as u64);
        }
        let mut names: Vec<_> = drops.named().map(|(name, _)| name).collect();
        assert!(drops.named().enumerate().all(|(i, (_, n))| n == 1 + i as u64));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), NAMES.len());
    }
}
