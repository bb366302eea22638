//! What the machine counts for one media shard: turns, datagrams, and each reason for which one was lost on its way
//! through the kernel. Plain fields, owned by one thread; the machine writes them, a survey reads them.

/// Counters since start. "Datagrams" are UDP payloads; a message is what one send carries, several datagrams with GSO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MachineCounters {
    /// Turns of the loop.
    pub turns: u64,
    /// Turns that found the doorbell rung.
    pub doorbells: u64,
    /// Datagrams handed to the engine.
    pub datagrams_in: u64,
    pub bytes_in: u64,
    /// Flushes of the send arena.
    pub flushes: u64,
    /// Messages that the kernel took.
    pub messages_out: u64,
    /// Datagrams in them.
    pub datagrams_out: u64,
    /// Bytes in them.
    pub bytes_out: u64,
    /// Datagrams of GSO messages that were sent one by one because the route refuses GSO.
    pub sent_singly: u64,

    /// Datagrams that the kernel lost because a socket's receive buffer was full (SO_RXQ_OVFL).
    pub receive_overflow: u64,
    /// Times that a multishot receive ended because every receive buffer was in use.
    pub rearmed_exhausted: u64,
    /// Times that it ended with an error.
    pub rearmed_error: u64,
    /// Times that it ended for no stated reason (the kernel may do so at any completion).
    pub rearmed_ended: u64,
    /// Received datagrams longer than [`DATAGRAM_MAX`](crate::limits::DATAGRAM_MAX), dropped.
    pub receive_truncated: u64,
    /// Received datagrams without a usable source address, or empty ones.
    pub receive_malformed: u64,

    /// GSO messages that the kernel refused (EIO, EINVAL, EMSGSIZE); their datagrams were then sent singly.
    pub gso_refused: u64,
    /// Datagrams dropped because the socket's send buffer was full, by lane in sending order: control, audio,
    /// retransmission, video.
    pub send_full: [u64; 4],
    /// Datagrams for which there is no route (ENETUNREACH, EHOSTUNREACH).
    pub send_unreachable: u64,
    /// Datagrams answered with ECONNREFUSED.
    pub send_refused: u64,
    /// Datagrams that a firewall rule denied (EPERM, EACCES).
    pub send_denied: u64,
    /// Single datagrams over the route's MTU (EMSGSIZE).
    pub send_too_long: u64,
    /// Datagrams lost to any other error.
    pub send_failed: u64,
}

impl MachineCounters {
    /// What was done, by name.
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("turns", self.turns),
            ("doorbells", self.doorbells),
            ("datagrams_in", self.datagrams_in),
            ("bytes_in", self.bytes_in),
            ("flushes", self.flushes),
            ("messages_out", self.messages_out),
            ("datagrams_out", self.datagrams_out),
            ("bytes_out", self.bytes_out),
            ("sent_singly", self.sent_singly),
            ("receive_rearmed_exhausted", self.rearmed_exhausted),
            ("receive_rearmed_error", self.rearmed_error),
            ("receive_rearmed_ended", self.rearmed_ended),
            ("gso_refused", self.gso_refused),
        ]
    }

    /// What was lost and why, in datagrams, by name.
    pub fn drops(&self) -> Vec<(&'static str, u64)> {
        let [control, audio, retransmission, video] = self.send_full;
        vec![
            ("receive_overflow", self.receive_overflow),
            ("receive_truncated", self.receive_truncated),
            ("receive_malformed", self.receive_malformed),
            ("send_full_control", control),
            ("send_full_audio", audio),
            ("send_full_retransmission", retransmission),
            ("send_full_video", video),
            ("send_unreachable", self.send_unreachable),
            ("send_refused", self.send_refused),
            ("send_denied", self.send_denied),
            ("send_too_long", self.send_too_long),
            ("send_failed", self.send_failed),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_has_a_name_of_its_own() {
        let machine = MachineCounters { send_full: [1, 2, 3, 4], ..Default::default() };
        let mut names: Vec<_> = machine.counters().into_iter().chain(machine.drops()).map(|(name, _)| name).collect();
        let named = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), named);
        assert_eq!(size_of::<MachineCounters>() / size_of::<u64>(), named);
        assert!(machine.drops().contains(&("send_full_video", 4)));
    }
}
