//! What the machine counts for one media shard: turns, datagrams, and each reason for which one was lost on its way
//! through the kernel. Plain fields, owned by one thread; the machine writes them, a survey reads them.

use super::arena::Lane;
use crate::counters::counters;

counters! {
    /// Counters since start. "Datagrams" are UDP payloads; a message is what one send carries, several datagrams with GSO.
    pub struct MachineCounters {
        /// What was done, by name.
        fn counters {
            /// Turns of the loop.
            turns,
            /// Turns that found the doorbell rung.
            doorbells,
            /// Datagrams handed to the engine.
            datagrams_in,
            bytes_in,
            /// Flushes of the send arena.
            flushes,
            /// Messages that the kernel took.
            messages_out,
            /// Datagrams in them.
            datagrams_out,
            /// Bytes in them.
            bytes_out,
            /// Datagrams of GSO messages that were sent one by one because the route refuses GSO.
            sent_singly,
            /// Times that a multishot receive ended because every receive buffer was in use.
            receive_rearmed_exhausted,
            /// Times that it ended with an error.
            receive_rearmed_error,
            /// Times that it ended for no stated reason (the kernel may do so at any completion).
            receive_rearmed_ended,
            /// GSO messages that the kernel refused (EIO, EINVAL, EMSGSIZE); their datagrams were then sent singly.
            gso_refused,
        }
        /// What was lost and why, in datagrams, by name.
        fn drops {
            /// Datagrams that the kernel lost because a socket's receive buffer was full (SO_RXQ_OVFL).
            receive_overflow,
            /// Received datagrams longer than [`DATAGRAM_MAX`](crate::limits::DATAGRAM_MAX), dropped.
            receive_truncated,
            /// Received datagrams without a usable source address, or empty ones.
            receive_malformed,
            /// STUN, DTLS and RTCP dropped because the socket's send buffer was full.
            send_full_control,
            /// Audio dropped because of that.
            send_full_audio,
            /// Repeated packets dropped because of that.
            send_full_retransmission,
            /// Video dropped because of that.
            send_full_video,
            /// Datagrams for which there is no route (ENETUNREACH, EHOSTUNREACH).
            send_unreachable,
            /// Datagrams answered with ECONNREFUSED.
            send_refused,
            /// Datagrams that a firewall rule denied (EPERM, EACCES).
            send_denied,
            /// Single datagrams over the route's MTU (EMSGSIZE).
            send_too_long,
            /// Datagrams lost to any other error.
            send_failed,
        }
    }
}

impl MachineCounters {
    /// Datagrams of a lane that the socket's full send buffer has cost.
    pub fn send_full(&mut self, lane: Lane) -> &mut u64 {
        match lane {
            Lane::Control => &mut self.send_full_control,
            Lane::Audio => &mut self.send_full_audio,
            Lane::Retransmission => &mut self.send_full_retransmission,
            Lane::Video => &mut self.send_full_video,
        }
    }
}
