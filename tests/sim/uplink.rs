//! What publishers have sent, and what of it the engine has taken: once, and in the end all, but for what nobody could
//! have repaired. The reasons that count are those that the engine itself states, and each must show in what happened.

use std::collections::BTreeMap;
use std::time::Duration;

use portunus::limits::{AUDIO_MISSING_MAX, HISTORY_AGE, VIDEO_MISSING_MAX};
use portunus::time::Mono;
use portunus::wire::sdp::MediaKind;

use crate::checks::{Line, Tally};
use crate::network::Label;

/// What is noticed later after it was sent may have been forgotten by its sender before the first NACK comes.
const FRESH: Duration = Duration::from_millis(500);

/// Times at which a client could not be reached, or was not heard.
#[derive(Default)]
pub struct Outages(BTreeMap<u64, Vec<(Mono, Mono)>>);

impl Outages {
    /// It may last for ever.
    pub fn begin(&mut self, client: u64, at: Mono) {
        self.add(client, at, Mono::NEVER);
    }

    pub fn add(&mut self, client: u64, from: Mono, until: Mono) {
        self.0.entry(client).or_default().push((from, until));
    }

    /// What has begun is over, as far as it is not known to end by itself.
    pub fn end(&mut self, client: u64, at: Mono) {
        for (_, until) in self.0.entry(client).or_default().iter_mut().filter(|(_, until)| *until == Mono::NEVER) {
            *until = at;
        }
    }

    /// Whether there was one at any time from `from` to `until`.
    pub fn within(&self, client: u64, from: Mono, until: Mono) -> bool {
        self.0.get(&client).is_some_and(|outages| outages.iter().any(|(began, over)| *began <= until && from <= *over))
    }
}

/// One m-line of a publisher from its publication to its end.
pub struct Uplink {
    line: Line,
    kind: MediaKind,
    repairable: bool,
    sent: BTreeMap<u64, Sent>,
}

struct Sent {
    at: Mono,
    keyframe: bool,
    lost: bool,
    taken: Option<Mono>,
}

impl Uplink {
    pub fn new(line: Line, kind: MediaKind, repairable: bool) -> Uplink {
        Uplink { line, kind, repairable, sent: BTreeMap::new() }
    }

    pub fn feed(&self) -> u64 {
        self.line.0
    }

    /// The publisher has sent a packet; what is sent again is the same.
    pub fn send(&mut self, label: &Label, at: Mono, lost: bool) {
        self.sent.entry(label.count).or_insert(Sent { at, keyframe: label.keyframe, lost, taken: None });
    }

    /// The engine has taken a packet. False when it had it already.
    pub fn take(&mut self, label: &Label, at: Mono) -> bool {
        // What was under way when the line began belongs to the time before.
        self.sent.get_mut(&label.count).is_none_or(|sent| sent.taken.replace(at).is_none())
    }

    /// Packets sent from `from` until `until`, in their order.
    pub fn counts(&self, from: Mono, until: Mono) -> Vec<u64> {
        self.sent.iter().filter(|(_, sent)| from <= sent.at && sent.at <= until).map(|(count, _)| *count).collect()
    }

    /// The line is over, or everything is.
    ///
    /// # Panics
    /// When a packet is missing for no good reason.
    pub fn settle(&self, now: Mono, outages: &Outages, tally: &mut Tally) {
        let publisher = self.line.0;
        let mut started = self.sent.iter().filter(|(_, sent)| sent.taken.is_some()).map(|(count, _)| *count);
        let Some(first) = started.next() else { return };
        // Of those behind it: when the first one came, the first keyframe came, and which was the newest then.
        let (mut noticed, mut keyframe): (Option<(Mono, u64)>, Option<Mono>) = (None, None);
        for (&count, sent) in self.sent.range(first..).rev() {
            let Some(taken) = sent.taken else {
                if let Some((noticed, behind)) = noticed {
                    let room = if self.kind == MediaKind::Audio { AUDIO_MISSING_MAX } else { VIDEO_MISSING_MAX };
                    let (until, stale) = (noticed + HISTORY_AGE, noticed.since(sent.at) > FRESH);
                    let why = match () {
                        () if !self.repairable => "not repairable",
                        () if keyframe.is_some_and(|at| at <= until) => "moot: a keyframe came",
                        () if stale && outages.within(publisher, sent.at, noticed) => "its sender has forgotten it",
                        () if behind - count >= room as u64 => "one of too many",
                        () if outages.within(publisher, noticed, until) => "an outage",
                        () if now < until => "the end",
                        () => panic!(
                            "packet {count} of {:?} was sent at {:?}, missed at {noticed:?}, and never came",
                            self.line, sent.at
                        ),
                    };
                    *tally.missing_up.entry(why).or_default() += 1;
                }
                continue;
            };
            tally.repaired_up += usize::from(sent.lost);
            if noticed.is_none_or(|(at, _)| taken <= at) {
                noticed = Some((taken, count));
            }
            if sent.keyframe {
                keyframe = Some(keyframe.map_or(taken, |at| at.min(taken)));
            }
        }
    }
}
