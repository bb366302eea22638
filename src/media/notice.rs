//! What operators should read in the log although the engine writes none: rare conditions that a counter alone would hide.
//! The machine takes them and writes them; how often is decided here.

use std::collections::VecDeque;
use std::fmt;

use crate::id::{HandleAddress, RoomId};
use crate::limits::{NOTICE_INTERVAL, NOTICES_MAX};
use crate::proto::dtls::suite_name;
use crate::time::Mono;

/// One sentence for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A publisher sends with more SSRCs than its connection may have: packets of this one are dropped.
    SourcesExhausted {
        /// In which room.
        room: RoomId,
        of: HandleAddress,
        /// The SSRC that found no room.
        ssrc: u32,
        /// Times that were not told since the last one.
        untold: u64,
    },
    /// A DTLS handshake came to nothing.
    HandshakeFailed {
        /// The cipher suites that the client offered, by their IANA numbers; none when it was us who offered.
        offered: Box<[u16]>,
        /// Others that were not told since the last one.
        untold: u64,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let untold = match self {
            Notice::SourcesExhausted { room, of, ssrc, untold } => {
                let (session, handle) = (of.session.0, of.handle.0);
                write!(
                    f,
                    "room {room}: handle {handle} of session {session} sends with more SSRCs than a connection may have; \
                     packets of SSRC {ssrc} are dropped (counted as srtp_too_many_sources)"
                )?;
                *untold
            }
            Notice::HandshakeFailed { offered, untold } => {
                write_handshake(offered, f)?;
                *untold
            }
        };
        if untold > 0 { write!(f, "; {untold} more since this was last said") } else { Ok(()) }
    }
}

fn write_handshake(offered: &[u16], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if offered.is_empty() {
        return f.write_str(
            "a DTLS handshake failed: no answer came, or the other side's certificate is not that of its SDP",
        );
    }
    f.write_str("a DTLS handshake failed: the client offers ")?;
    for (n, &suite) in offered.iter().enumerate() {
        let separator = if n == 0 { "" } else { ", " };
        match suite_name(suite) {
            Some(name) => write!(f, "{separator}{name}")?,
            None => write!(f, "{separator}{suite:#06x}")?,
        }
    }
    f.write_str(
        " (a client that knows ECDHE with RSA only needs --dtls-certificate rsa; one without ECDHE cannot be served)",
    )
}

/// Notices on their way to the log: of each kind one in an interval, and a bounded number.
#[derive(Debug, Default)]
pub struct Notices {
    waiting: VecDeque<Notice>,
    sources: Pace,
    handshakes: Pace,
}

/// When notices of one kind were told.
#[derive(Debug, Default)]
struct Pace {
    told: Option<Mono>,
    untold: u64,
}

impl Pace {
    /// How many were not told, when one is to be told now.
    fn take(&mut self, now: Mono) -> Option<u64> {
        if self.told.is_some_and(|told| now.since(told) < NOTICE_INTERVAL) {
            self.untold += 1;
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

impl Notices {
    /// A connection has no room for an SSRC.
    pub fn sources_exhausted(&mut self, now: Mono, room: &RoomId, of: HandleAddress, ssrc: u32) {
        if let Some(untold) = self.sources.take(now) {
            self.push(Notice::SourcesExhausted { room: room.clone(), of, ssrc, untold });
        }
    }

    /// A handshake came to nothing; `offered` is what the client offered.
    pub fn handshake_failed(&mut self, now: Mono, offered: &[u16]) {
        if let Some(untold) = self.handshakes.take(now) {
            self.push(Notice::HandshakeFailed { offered: offered.into(), untold });
        }
    }

    fn push(&mut self, notice: Notice) {
        if self.waiting.len() < NOTICES_MAX {
            self.waiting.push_back(notice);
        }
    }

    /// The next one for the log.
    pub fn take(&mut self) -> Option<Notice> {
        self.waiting.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{HandleId, SessionId, SignallingId};

    #[test]
    fn the_log_is_told_once_in_an_interval_and_how_often_it_was_not() {
        let of = HandleAddress { home: SignallingId(0), session: SessionId(5), handle: HandleId(6) };
        let mut notices = Notices::default();
        let (room, start) = (RoomId::from(1234), Mono(9));
        for n in 0..3 {
            notices.sources_exhausted(start, &room, of, n);
        }
        assert!(
            notices.take().unwrap().to_string().starts_with("room 1234: handle 6 of session 5 sends with more SSRCs")
        );
        assert_eq!(notices.take(), None);
        notices.sources_exhausted(start + NOTICE_INTERVAL, &room, of, 7);
        let again = notices.take().unwrap().to_string();
        assert!(again.contains("SSRC 7 ") && again.ends_with("; 2 more since this was last said"), "{again}");
    }

    #[test]
    fn a_failed_handshake_names_what_was_offered_and_the_setting() {
        let mut notices = Notices::default();
        for suites in [&[0xc02f, 0x1234][..], &[1], &[2]] {
            notices.handshake_failed(Mono(9), suites);
        }
        let text = notices.take().unwrap().to_string();
        for part in ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, 0x1234 ", "--dtls-certificate rsa"] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(notices.take(), None);
        notices.handshake_failed(Mono(9) + NOTICE_INTERVAL, &[]);
        let text = notices.take().unwrap().to_string();
        assert!(!text.contains("offers") && text.ends_with("; 2 more since this was last said"), "{text}");
    }
}
