//! Which SSRC of an m-line is relayed when its publisher sends several at once: the tracks of Plan B, the encodings of a
//! SIM group, rids that nobody asked for. One of them makes a stream, all of them woven together make none. An SSRC that
//! takes the place of one that stopped moves the stream; two that go on beside each other do not take turns.

use std::time::Duration;

use crate::time::Mono;

/// How much an SSRC is wanted: its place among those that the description announces, which has the best first. All that
/// it does not announce come after those.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank(usize);

impl Rank {
    /// The rank of an SSRC among the announced ones.
    pub fn of(ssrc: u32, announced: &[u32]) -> Rank {
        Rank(announced.iter().position(|of| *of == ssrc).unwrap_or(usize::MAX))
    }

    fn is_announced(self) -> bool {
        self != UNANNOUNCED
    }
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Its SSRC is the one that is relayed, perhaps from now on.
    Relayed,
    /// Another one is.
    Refused,
}

/// The choice for one m-line.
#[derive(Clone, Debug)]
pub struct Selection {
    chosen: Option<Heard>,
    /// The most wanted of the others that come.
    rival: Option<Rival>,
    /// When the first packet came.
    began: Option<Mono>,
    /// How long one that is wanted more must come without a pause before it takes over.
    patience: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    ssrc: u32,
    rank: Rank,
    last: Mono,
}

#[derive(Clone, Copy, Debug)]
struct Rival {
    heard: Heard,
    /// Since when it has come without a pause.
    since: Mono,
}

impl Default for Selection {
    fn default() -> Selection {
        Selection { chosen: None, rival: None, began: None, patience: PATIENCE_MIN }
    }
}

impl Selection {
    /// A media packet has come, for one of the announced SSRCs or for another.
    pub fn receive(&mut self, ssrc: u32, announced: &[u32], at: Mono) -> Choice {
        if let Some(chosen) = self.chosen.as_mut().filter(|chosen| chosen.ssrc == ssrc) {
            chosen.last = at;
            return Choice::Relayed;
        }
        let heard = Heard { ssrc, rank: Rank::of(ssrc, announced), last: at };
        let began = *self.began.get_or_insert(at);
        let Some(chosen) = self.chosen else { return self.choose(heard) };
        self.compete(heard);
        if chosen.is_silent(at) {
            // The most wanted of those that go on takes over, and its next packet is not far.
            if self.rival.is_some_and(|rival| rival.heard.ssrc != ssrc) {
                return Choice::Refused;
            }
            if heard.rank > chosen.rank {
                // One that comes and goes is waited for longer each time.
                self.patience = (self.patience * 2).min(PATIENCE_MAX);
            }
            return self.choose(heard);
        }
        let steady = self.rival.filter(|rival| rival.heard.ssrc == ssrc).map(|rival| at.since(rival.since));
        let takes_over = heard.rank < chosen.rank
            && (!chosen.rank.is_announced()
                || at.since(began) < BEGINNING
                || steady.is_some_and(|steady| steady >= self.patience));
        if takes_over { self.choose(heard) } else { Choice::Refused }
    }

    /// A packet that is no media has come: is it of the SSRC that is relayed? It shows that this one goes on.
    pub fn hear(&mut self, ssrc: u32, at: Mono) -> bool {
        let chosen = self.chosen.as_mut().filter(|chosen| chosen.ssrc == ssrc);
        chosen.map(|chosen| chosen.last = at).is_some()
    }

    /// Whether RTX may be of the SSRC that is relayed, going by the media SSRC that it was announced with.
    pub fn may_repair(&self, of: Option<u32>, at: Mono) -> bool {
        match (self.chosen, of) {
            (None, _) => false,
            (Some(chosen), Some(of)) if chosen.ssrc == of => true,
            (Some(_), Some(_)) => !self.is_contested(at),
            (Some(_), None) => true,
        }
    }

    /// Whether another SSRC is sent beside the one that is relayed.
    pub fn is_contested(&self, at: Mono) -> bool {
        self.rival.is_some_and(|rival| !rival.heard.is_silent(at))
    }

    /// An SSRC has ended: whichever comes next is relayed.
    pub fn end(&mut self, ssrc: u32) {
        self.chosen = self.chosen.filter(|chosen| chosen.ssrc != ssrc);
        self.rival = self.rival.filter(|rival| rival.heard.ssrc != ssrc);
    }

    /// The description announces these SSRCs from now on. One that is relayed and not announced any more has ended; true
    /// when that is so.
    pub fn announce(&mut self, announced: &[u32]) -> bool {
        let rank = |heard: Heard| Heard { rank: Rank::of(heard.ssrc, announced), ..heard };
        let lives =
            |before: &Heard| !before.rank.is_announced() || announced.is_empty() || rank(*before).rank.is_announced();
        let had_one = self.chosen.is_some();
        self.chosen = self.chosen.filter(lives).map(rank);
        self.rival = None;
        self.patience = PATIENCE_MIN;
        had_one && self.chosen.is_none()
    }

    fn choose(&mut self, heard: Heard) -> Choice {
        self.chosen = Some(heard);
        self.rival = self.rival.filter(|rival| rival.heard.ssrc != heard.ssrc);
        Choice::Relayed
    }

    /// Keeps the most wanted of those that come beside the chosen one.
    fn compete(&mut self, heard: Heard) {
        let rival = match self.rival.filter(|rival| !rival.heard.is_silent(heard.last)) {
            Some(rival) if rival.heard.ssrc == heard.ssrc => Rival { heard, ..rival },
            Some(rival) if rival.heard.rank <= heard.rank => rival,
            _ => Rival { heard, since: heard.last },
        };
        self.rival = Some(rival);
    }
}

impl Heard {
    fn is_silent(&self, at: Mono) -> bool {
        at.since(self.last) >= SILENCE
    }
}

const UNANNOUNCED: Rank = Rank(usize::MAX);
/// Without a packet for that long a source has stopped: above the pauses of a camera in the dark and of Opus DTX (400 ms).
const SILENCE: Duration = Duration::from_secs(1);
/// At first nobody has got used to a picture yet, and the order in which the first packets come is chance.
const BEGINNING: Duration = Duration::from_secs(1);
const PATIENCE_MIN: Duration = Duration::from_secs(2);
const PATIENCE_MAX: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [u32; 2] = [10, 20];

    fn ms(ms: u64) -> Mono {
        Mono((100_000 + ms) * 1_000_000)
    }

    /// Packets of `ssrcs` every 20 ms from `from` to `to`; how many of each were relayed.
    fn run(selection: &mut Selection, ssrcs: &[u32], announced: &[u32], from: u64, to: u64) -> Vec<usize> {
        let mut relayed = vec![0; ssrcs.len()];
        for at in (from..to).step_by(20) {
            for (ssrc, relayed) in ssrcs.iter().zip(&mut relayed) {
                *relayed += usize::from(selection.receive(*ssrc, announced, ms(at)) == Choice::Relayed);
            }
        }
        relayed
    }

    #[test]
    fn of_two_that_are_sent_at_once_the_first_announced_is_relayed_whole() {
        let mut selection = Selection::default();
        assert_eq!(run(&mut selection, &BOTH, &BOTH, 0, 60_000), [3000, 0]);
        let mut selection = Selection::default();
        assert_eq!(run(&mut selection, &[20, 10], &BOTH, 0, 60_000), [1, 3000], "whichever is heard first");
        let mut selection = Selection::default();
        assert_eq!(run(&mut selection, &[5, 6], &[], 0, 60_000), [3000, 0], "nothing is announced");
        assert!(selection.is_contested(ms(60_000)) && !selection.is_contested(ms(61_500)));
    }

    #[test]
    fn one_that_is_replaced_moves_the_stream_after_a_silence_or_at_once_when_it_is_said() {
        let mut selection = Selection::default();
        run(&mut selection, &[5], &[], 0, 1000);
        assert_eq!(run(&mut selection, &[6], &[], 1000, 3000), [51], "a second after the last packet");
        selection.end(6);
        assert_eq!(run(&mut selection, &[7], &[], 3000, 4000), [50], "it has said goodbye");

        let mut selection = Selection::default();
        run(&mut selection, &[10], &[10], 0, 1000);
        assert!(selection.announce(&[30]));
        assert_eq!(run(&mut selection, &[10], &[30], 1000, 1100), [5], "what was under way");
        assert_eq!(run(&mut selection, &[30], &[30], 1100, 2000), [45]);
        assert_eq!(run(&mut selection, &[10], &[30], 2000, 2100), [0]);
        assert!(!selection.announce(&[40, 30]));
        assert_eq!(run(&mut selection, &[30], &[40, 30], 2100, 2200), [5], "it is still announced");
    }

    #[test]
    fn when_the_chosen_one_stops_the_other_takes_over_and_gives_back_what_goes_on_steadily() {
        let mut selection = Selection::default();
        run(&mut selection, &BOTH, &BOTH, 0, 10_000);
        assert_eq!(run(&mut selection, &[20], &BOTH, 10_000, 12_000), [51]);
        // Coming and going, two seconds each, it never gets the stream back.
        for cycle in 0..20 {
            let from = 12_000 + cycle * 4000;
            assert_eq!(run(&mut selection, &BOTH, &BOTH, from, from + 2000), [0, 100], "cycle {cycle}");
            assert_eq!(run(&mut selection, &[20], &BOTH, from + 2000, from + 4000), [100]);
        }
        assert_eq!(run(&mut selection, &BOTH, &BOTH, 92_000, 100_000), [200, 200], "four seconds without a pause");
    }

    #[test]
    fn of_those_that_go_on_the_most_wanted_takes_over() {
        let all = [1, 2, 3];
        let mut selection = Selection::default();
        assert_eq!(run(&mut selection, &[3, 2, 1], &all, 0, 5000), [1, 1, 250]);
        assert_eq!(run(&mut selection, &[3, 2], &all, 5000, 8000), [0, 101]);
        selection.end(2);
        assert_eq!(run(&mut selection, &[3], &all, 8000, 9000), [50]);
    }

    #[test]
    fn repairs_are_those_of_the_chosen_one() {
        let mut selection = Selection::default();
        assert!(!selection.may_repair(None, ms(0)), "nothing is relayed");
        run(&mut selection, &[10], &BOTH, 0, 100);
        assert!(selection.may_repair(Some(10), ms(100)) && selection.may_repair(Some(77), ms(100)));
        run(&mut selection, &BOTH, &BOTH, 100, 200);
        assert!(selection.may_repair(Some(10), ms(200)) && !selection.may_repair(Some(20), ms(200)));
        assert!(selection.hear(10, ms(200)) && !selection.hear(20, ms(200)));
    }
}
