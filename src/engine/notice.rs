//! What operators should read in the log although the engine writes none: rare conditions that a counter alone would hide.
//! The machine takes them and writes them; how often is decided here.

use std::collections::VecDeque;
use std::fmt;

use crate::id::{HandleAddress, RoomId};
use crate::limits::{NOTICE_INTERVAL, NOTICES_MAX};
use crate::time::Mono;

/// One sentence for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A publisher sends with more SSRCs than its connection may have: packets of this one are dropped.
    SourcesExhausted {
        /// In which room.
        room: RoomId,
        /// Who.
        of: HandleAddress,
        /// The SSRC that found no room.
        ssrc: u32,
        /// Times that were not told since the last one.
        untold: u64,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::SourcesExhausted { room, of, ssrc, untold } => {
                let (session, handle) = (of.session.0, of.handle.0);
                write!(
                    f,
                    "room {room}: handle {handle} of session {session} sends with more SSRCs than a connection may have; \
                     packets of SSRC {ssrc} are dropped (counted as srtp_too_many_sources)"
                )?;
                if *untold > 0 { write!(f, "; {untold} more since this was last said") } else { Ok(()) }
            }
        }
    }
}

/// Notices on their way to the log: one in an interval, and a bounded number.
#[derive(Debug, Default)]
pub struct Notices {
    waiting: VecDeque<Notice>,
    told: Option<Mono>,
    untold: u64,
}

impl Notices {
    /// A connection has no room for an SSRC.
    pub fn sources_exhausted(&mut self, now: Mono, room: &RoomId, of: HandleAddress, ssrc: u32) {
        if self.told.is_some_and(|told| now.since(told) < NOTICE_INTERVAL) || self.waiting.len() >= NOTICES_MAX {
            self.untold += 1;
            return;
        }
        self.told = Some(now);
        let untold = std::mem::take(&mut self.untold);
        self.waiting.push_back(Notice::SourcesExhausted { room: room.clone(), of, ssrc, untold });
    }

    /// The next one for the log.
    pub fn take(&mut self) -> Option<Notice> {
        self.waiting.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{HandleId, SessionId, SignalId};

    #[test]
    fn the_log_is_told_once_in_an_interval_and_how_often_it_was_not() {
        let of = HandleAddress { home: SignalId(0), session: SessionId(5), handle: HandleId(6) };
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
}
