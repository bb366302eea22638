//! What must be true, held against what is: a small model of who hears what, fed with the commands, the events and the
//! packets that the engine accepted; and every packet that a browser received is looked up in it. In the end everything
//! that can be repaired has come, but for what nobody could have repaired.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use portunus::limits::{AUDIO_SENT_MAX, HISTORY_AGE, VIDEO_MISSING_MAX, VIDEO_SENT_MAX};
use portunus::media::engine::MediaEngine;
use portunus::time::Mono;
use portunus::wire::demux::classify;
use portunus::wire::sdp::MediaKind;

use crate::browser::Received;
use crate::camera;
use crate::network::Label;
use crate::uplink::{Outages, Uplink};

/// What a subscriber's packets have to expect on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// All come, and in order.
    Clear,
    /// Some may be missing, late or double.
    Rough,
    /// For a while the engine knew no path and numbered nothing, when the model thought it did.
    Interrupted,
}

/// A publisher's m-line: feed and index.
pub type Line = (u64, u8);

/// One subscriber's m-line as the model sees it.
#[derive(Debug)]
struct Leg {
    /// Where it was wired to at first; legs are never switched.
    feed: u64,
    source: Option<Line>,
    kind: MediaKind,
    accepted: bool,
    wanted: bool,
    open: bool,
    /// Its browser asks for what it misses.
    repairable: bool,
    /// When the gate was closed.
    closed: Vec<Mono>,
    awaiting_keyframe: bool,
    /// Incoming count and outgoing number at which the current run of numbers began.
    base: Option<(u64, u64)>,
    highest: u64,
    /// In the order in which the engine sent them.
    expected: Vec<Expected>,
    positions: HashMap<Label, usize>,
    /// The number of the packet that came first: what lies before it nobody can miss.
    began: Option<u64>,
    /// How many of `expected` have come, while all come in order.
    cursor: usize,
    ssrc: Option<u32>,
    /// The differences between what was received and what the model counts.
    index_offset: Option<u64>,
    timestamp_offset: Option<u32>,
    /// The newest packet: when it came, with which timestamp.
    newest: Option<(Mono, u32)>,
    newest_number: u64,
    /// Sender reports that agreed with it.
    reports: usize,
}

#[derive(Debug)]
struct Expected {
    label: Label,
    number: u64,
    timestamp: u32,
    marker: bool,
    sent: Mono,
    received: Option<Mono>,
}

/// Sums that show whether there was anything to check.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Packets that the network took from publishers, and that came nevertheless.
    pub repaired_up: usize,
    /// Packets that came to subscribers after later ones.
    pub late_down: usize,
    /// Packets that never came to the engine, by reason.
    pub missing_up: BTreeMap<&'static str, usize>,
    /// The same for those that never came to a subscriber.
    pub missing_down: BTreeMap<&'static str, usize>,
}

impl Tally {
    pub fn add(&mut self, other: &Tally) {
        self.repaired_up += other.repaired_up;
        self.late_down += other.late_down;
        for (sum, of) in [(&mut self.missing_up, &other.missing_up), (&mut self.missing_down, &other.missing_down)] {
            of.iter().for_each(|(why, count)| *sum.entry(why).or_default() += count);
        }
    }
}

/// What is noticed later after it was sent may be too old for a resend before the first NACK comes.
const FRESH: Duration = Duration::from_millis(500);

/// Whose leg: the client, and the tag of its m-line.
type LegKey = (u64, String);

impl Leg {
    /// The packet is on its way, with the number that its place in the source gives it.
    fn expect(&mut self, now: Mono, label: Label, timestamp: u32, marker: bool) {
        let (from, to) = *self.base.get_or_insert((label.count, self.highest + 1));
        let Some(ahead) = label.count.checked_sub(from) else { return };
        let number = to + ahead;
        self.highest = self.highest.max(number);
        self.positions.insert(label, self.expected.len());
        self.expected.push(Expected { label, number, timestamp, marker, sent: now, received: None });
    }

    /// Everything has come that was sent and could be repaired.
    fn settle(&self, (client, mid): &LegKey, now: Mono, outages: &Outages, tally: &mut Tally) {
        let Some(began) = self.began else { return };
        let mut by_number: Vec<&Expected> = self.expected.iter().filter(|of| of.number >= began).collect();
        by_number.sort_by_key(|of| of.number);
        // A leg remembers so many packets, and the history of its source hardly more of their bytes.
        let kept = if self.kind == MediaKind::Audio { AUDIO_SENT_MAX } else { VIDEO_SENT_MAX } as u64 * 3 / 4;
        let pushed_out = |of: &Expected| {
            let later = |at: &Expected| at.sent <= of.sent + HISTORY_AGE;
            self.expected.iter().any(|at| at.number > of.number + kept && later(at))
        };
        let mut noticed: Option<Mono> = None;
        for of in by_number.into_iter().rev() {
            if let Some(came) = of.received {
                tally.late_down += usize::from(noticed.is_some_and(|at| at < came));
                noticed = Some(noticed.map_or(came, |at| at.min(came)));
            } else if let Some(noticed) = noticed {
                let until = of.sent + HISTORY_AGE;
                let closed = |until: Mono| self.closed.iter().any(|at| of.sent <= *at && *at <= until);
                // Where nothing follows, as when its publisher is not heard, nothing is missed.
                let is_out = |who: u64, until: Mono| outages.within(who, of.sent, until);
                let interrupted = |until: Mono| is_out(*client, until) || is_out(self.feed, until) || closed(until);
                let why = match () {
                    () if !self.repairable => "not repairable",
                    () if noticed.since(of.sent) > FRESH && interrupted(noticed) => "too old when it was missed",
                    () if is_out(*client, until) => "an outage",
                    () if closed(until) => "the gate was closed",
                    () if now < until => "the end",
                    () if pushed_out(of) => "a burst pushed it out",
                    () => panic!(
                        "client {client} mid {mid}: {:?} was sent at {:?}, missed at {noticed:?}, and never came",
                        of.label, of.sent
                    ),
                };
                *tally.missing_down.entry(why).or_default() += 1;
            }
        }
    }
}

/// Everything that the model knows.
#[derive(Default)]
pub struct Ledger {
    legs: BTreeMap<LegKey, Leg>,
    /// Lines that are published, and whether their publisher has them relayed.
    lines: BTreeMap<Line, bool>,
    uplinks: BTreeMap<Line, Uplink>,
    pub outages: Outages,
    /// What there is to show for all this.
    pub tally: Tally,
    /// The instant of the step; 0 before the first.
    pub now: Mono,
    /// Something holds packets up for longer than a path does.
    pub sluggish: bool,
    paused: BTreeMap<u64, bool>,
    /// What each line brought last, as it came: a keyframe that comes late has its frame before it.
    recent: BTreeMap<Line, VecDeque<(Label, u32, bool)>>,
    /// Feeds whose packets came so late that arrival says nothing of their clocks; and whether also in such disorder that
    /// the engine may take it for a restart of the source (RFC 3550 A.1: two in a row, 100 behind the newest).
    stalled: BTreeMap<u64, bool>,
    /// Media packets that were received and found right.
    pub received: u64,
}

impl Ledger {
    pub fn publish(&mut self, line: Line, relayed: bool, kind: MediaKind, repairable: bool) {
        if self.lines.insert(line, relayed).is_none() {
            self.uplinks.insert(line, Uplink::new(line, kind, repairable));
        }
        self.settle();
    }

    /// The publisher has lines of the kind relayed, or not.
    pub fn relay(&mut self, line: Line, relayed: bool) {
        if let Some(known) = self.lines.get_mut(&line) {
            *known = relayed;
        }
        self.settle();
    }

    /// A publisher's packet is on its way for the first time or again, or is lost on it.
    pub fn sent(&mut self, label: &Label, lost: bool) {
        if let Some(uplink) = self.uplinks.get_mut(&(label.feed, label.line)) {
            uplink.send(label, self.now, lost);
        }
    }

    pub fn relayed(&self, line: Line) -> Option<bool> {
        self.lines.get(&line).copied()
    }

    /// A line is over: its legs have no source from now on.
    pub fn withdraw(&mut self, line: Line) {
        self.lines.remove(&line);
        self.recent.remove(&line);
        if let Some(uplink) = self.uplinks.remove(&line) {
            self.settle_uplink(&uplink);
        }
        for leg in self.legs.values_mut().filter(|leg| leg.source == Some(line)) {
            leg.source = None;
        }
        self.settle();
    }

    pub fn withdraw_feed(&mut self, feed: u64) {
        let lines: Vec<Line> = self.lines.keys().copied().filter(|line| line.0 == feed).collect();
        lines.into_iter().for_each(|line| self.withdraw(line));
    }

    fn settle_uplink(&mut self, uplink: &Uplink) {
        if self.stalled.get(&uplink.feed()) != Some(&true) {
            uplink.settle(self.now, &self.outages, &mut self.tally);
        }
    }

    pub fn subscribe(&mut self, client: u64, mid: &str, kind: MediaKind, source: Line, repairable: bool) {
        let leg = Leg {
            feed: source.0,
            source: Some(source),
            kind,
            accepted: false,
            wanted: true,
            open: false,
            repairable,
            closed: Vec::new(),
            awaiting_keyframe: kind == MediaKind::Video,
            base: None,
            highest: 0,
            expected: Vec::new(),
            positions: HashMap::new(),
            began: None,
            cursor: 0,
            ssrc: None,
            index_offset: None,
            timestamp_offset: None,
            newest: None,
            newest_number: 0,
            reports: 0,
        };
        let before = self.legs.insert((client, mid.into()), leg);
        assert!(before.is_none(), "a handle subscribes once");
    }

    /// The answer has (or has not) taken the m-line.
    pub fn accept(&mut self, client: u64, mid: &str, accepted: bool) {
        if let Some(leg) = self.legs.get_mut(&(client, mid.into())) {
            leg.accepted = accepted;
        }
        self.settle();
    }

    pub fn pause(&mut self, client: u64, paused: bool) {
        self.paused.insert(client, paused);
        self.settle();
    }

    pub fn want(&mut self, client: u64, mid: &str, wanted: bool) {
        if let Some(leg) = self.legs.get_mut(&(client, mid.into())) {
            leg.wanted = wanted;
        }
        self.settle();
    }

    /// The subscriber's connection is over. What is under way may still arrive.
    pub fn unsubscribe(&mut self, client: u64) {
        for (_, leg) in self.legs.iter_mut().filter(|((of, _), _)| *of == client) {
            leg.source = None;
        }
        self.settle();
    }

    pub fn stall(&mut self, feed: u64, in_disorder: bool) {
        self.stalled.insert(feed, in_disorder);
    }

    pub fn mids(&self, client: u64) -> Vec<String> {
        self.legs.keys().filter(|(of, _)| *of == client).map(|(_, mid)| mid.clone()).collect()
    }

    fn settle(&mut self) {
        for ((client, _), leg) in &mut self.legs {
            let relayed = leg.source.is_some_and(|line| self.lines.get(&line) == Some(&true));
            let paused = self.paused.get(client) == Some(&true);
            let open = leg.accepted && leg.wanted && relayed && !paused;
            if open && !leg.open {
                leg.awaiting_keyframe = leg.kind == MediaKind::Video;
                leg.base = None;
            }
            if leg.open && !open {
                leg.closed.push(self.now);
            }
            leg.open = open;
        }
    }

    /// The engine has accepted a packet and will release it in this turn; `is_up` knows whose connections are up.
    pub fn accepted(&mut self, label: Label, timestamp: u32, marker: bool, is_up: impl Fn(u64) -> bool) {
        let line = (label.feed, label.line);
        if !self.lines.contains_key(&line) {
            // Its connection ended in the same turn.
            return;
        }
        let now = self.now;
        if let Some(uplink) = self.uplinks.get_mut(&line) {
            let disordered = self.stalled.get(&label.feed) == Some(&true);
            assert!(uplink.take(&label, now) || disordered, "{label:?} was let in twice");
        }
        let recent = self.recent.entry(line).or_default();
        let late = recent.iter().any(|(other, ..)| other.count > label.count);
        for ((client, _), leg) in &mut self.legs {
            if leg.source != Some(line) || !leg.open || !is_up(*client) {
                continue;
            }
            if leg.awaiting_keyframe && !label.keyframe {
                continue;
            }
            if late && leg.kind == MediaKind::Audio && leg.base.is_none() {
                // Numbers begin with the newest there is.
                continue;
            }
            let begins = std::mem::take(&mut leg.awaiting_keyframe);
            leg.expect(now, label, timestamp, marker);
            if begins && late {
                for &(held, timestamp, marker) in recent.iter().filter(|(held, ..)| held.count > label.count) {
                    leg.expect(now, held, timestamp, marker);
                }
            }
        }
        recent.push_back((label, timestamp, marker));
        if recent.len() > VIDEO_MISSING_MAX {
            recent.pop_front();
        }
    }

    /// A browser has received a media packet.
    pub fn received(&mut self, now: Mono, client: u64, packet: &Received, kind: MediaKind, path: Path) {
        let mid = packet.mid.clone().unwrap_or_else(|| panic!("client {client}: a packet without MID"));
        let label = camera::read(kind, &packet.payload)
            .unwrap_or_else(|| panic!("client {client} mid {mid}: a payload that nobody sent: {packet:?}"));
        let Some(leg) = self.legs.get_mut(&(client, mid.clone())) else {
            panic!("client {client} has no m-line {mid}, yet receives {label:?}");
        };
        assert_eq!(leg.kind, kind);
        let ssrc = *leg.ssrc.get_or_insert(packet.ssrc);
        assert_eq!(packet.ssrc, ssrc, "client {client} mid {mid}: one SSRC for life");
        let Some(&position) = leg.positions.get(&label) else {
            panic!("client {client} mid {mid}: {label:?} was not for this leg: {leg:?}");
        };
        if packet.again {
            let expected = &leg.expected[position];
            let numbered = leg.index_offset.is_none_or(|offset| packet.index.wrapping_sub(expected.number) == offset);
            let exempt = path == Path::Interrupted || self.stalled.get(&leg.feed) == Some(&true);
            assert!(expected.received.is_some() || exempt, "client {client} mid {mid}: {label:?} in another's place");
            assert!(numbered || exempt, "client {client} mid {mid}: {label:?} again, with a wrong number");
            return;
        }
        if path == Path::Clear {
            let due = &leg.expected[leg.cursor];
            assert_eq!(label, due.label, "client {client} mid {mid}: the next packet is another one");
            leg.cursor += 1;
        }
        let expected = &mut leg.expected[position];
        assert!(expected.received.is_none(), "client {client} mid {mid}: {label:?} came twice");
        expected.received = Some(now);
        leg.began.get_or_insert(expected.number);
        assert_eq!(packet.marker, expected.marker);
        assert_eq!(packet.payload_type, if kind == MediaKind::Audio { 111 } else { 96 });
        self.received += 1;
        if leg.newest_number < expected.number {
            // What was repaired comes later than its clock says.
            leg.newest_number = expected.number;
            leg.newest = Some((now, packet.timestamp));
        }
        if self.stalled.get(&leg.feed) == Some(&true) {
            return;
        }
        let index_offset = packet.index.wrapping_sub(expected.number);
        let known = *leg.index_offset.get_or_insert(index_offset);
        let numbered = index_offset == known || path == Path::Interrupted;
        assert!(numbered, "client {client} mid {mid}: {label:?} has a wrong sequence number");
        let timestamp_offset = packet.timestamp.wrapping_sub(expected.timestamp);
        let known = *leg.timestamp_offset.get_or_insert(timestamp_offset);
        assert_eq!(timestamp_offset, known, "client {client} mid {mid}: {label:?} has a wrong timestamp");
    }

    /// A browser has received a sender report: its pair of clocks must fit the packets, which cameras make in step with
    /// the timestamps that they write (RFC 3550 §6.4.1), whatever was done to the server's wall clock.
    pub fn sender_report(&mut self, client: u64, ssrc: u32, at: Mono, timestamp: u32) {
        let mine = self.legs.iter_mut().filter(|((of, _), _)| *of == client);
        for ((_, mid), leg) in mine.filter(|(_, leg)| leg.ssrc == Some(ssrc) && !self.stalled.contains_key(&leg.feed)) {
            let Some((came, of_packet)) = leg.newest else { continue };
            let rate = if leg.kind == MediaKind::Audio { 48 } else { 90 };
            let between_ms = (at.0.cast_signed() - came.0.cast_signed()) / 1_000_000;
            let apart = i64::from(timestamp.wrapping_sub(of_packet).cast_signed());
            let error_ms = apart / rate - between_ms;
            let most_ms = if self.sluggish { 1000 } else { 400 };
            assert!(error_ms.abs() < most_ms, "client {client} mid {mid}: a sender report is off by {error_ms} ms");
            leg.reports += 1;
        }
    }

    /// How many sender reports of a leg were right.
    pub fn reports(&self, client: u64, mid: &str) -> usize {
        self.legs[&(client, mid.to_owned())].reports
    }

    /// Nothing is under way any more: what was sent on a clear path has come.
    pub fn all_arrived(&self, client: u64) {
        for ((of, mid), leg) in self.legs.iter().filter(|((of, _), _)| *of == client) {
            assert_eq!(leg.cursor, leg.expected.len(), "client {of} mid {mid}: packets are missing");
        }
    }

    /// The end: whatever could be repaired has come.
    pub fn all_repaired(&mut self) {
        for uplink in std::mem::take(&mut self.uplinks).values() {
            self.settle_uplink(uplink);
        }
        for (key, leg) in self.legs.iter().filter(|(_, leg)| self.stalled.get(&leg.feed) != Some(&true)) {
            leg.settle(key, self.now, &self.outages, &mut self.tally);
        }
    }

    /// What a publisher sent on a leg's line in that time and the subscriber has not got, and how much there was.
    pub fn missing(&self, client: u64, mid: &str, from: Mono, until: Mono) -> (Vec<u64>, usize) {
        let leg = &self.legs[&(client, mid.to_owned())];
        let line = leg.source.expect("the publisher is there");
        let counts = self.uplinks[&line].counts(from, until);
        let has = |count: &u64| leg.expected.iter().any(|of| of.label.count == *count && of.received.is_some());
        (counts.iter().copied().filter(|count| !has(count)).collect(), counts.len())
    }

    /// Packets that were to come to a leg so far, and those that have.
    pub fn tally(&self, client: u64, mid: &str) -> (usize, usize) {
        let leg = &self.legs[&(client, mid.to_owned())];
        (leg.expected.len(), leg.expected.iter().filter(|expected| expected.received.is_some()).count())
    }
}

/// A hash over everything that went over the wire: the same for the same seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    pub hash: u64,
    pub entries: u64,
}

impl Trace {
    pub fn new() -> Trace {
        Trace { hash: 0xcbf2_9ce4_8422_2325, entries: 0 }
    }

    pub fn note(&mut self, at: Mono, peer: u16, bytes: &[u8], verdict: u64) {
        let kind = classify(bytes) as u64;
        for word in [at.0, u64::from(peer), kind, bytes.len() as u64, verdict] {
            for byte in word.to_le_bytes() {
                self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
        self.entries += 1;
    }
}

pub fn gauge(engine: &MediaEngine, name: &str) -> u64 {
    let report = engine.survey();
    report.gauges.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no gauge {name}")).1
}

pub fn counter(engine: &MediaEngine, name: &str) -> u64 {
    let report = engine.survey();
    report.counters.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no counter {name}")).1
}

pub fn drops(engine: &MediaEngine) -> u64 {
    engine.survey().drops.iter().map(|(_, count)| count).sum()
}

/// A shard on which nobody is left holds nothing.
pub fn holds_nothing(engine: &MediaEngine) {
    for (name, value) in engine.survey().gauges {
        assert_eq!(value, 0, "{name} of shard {}", engine.survey().shard);
    }
}
