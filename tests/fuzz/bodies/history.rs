//! The byte ring of packets against a list that forgets nothing: what the ring says it keeps is what was pushed, and
//! it warns before it overwrites.

use portunus::limits::DATAGRAM_MAX;
use portunus::media::history::{Entry, History};
use portunus::wire::error::WireError;
use portunus::wire::reader::Reader;

/// Operations.
pub fn run(data: &[u8]) {
    let mut history = History::new(BYTES, ENTRIES);
    let mut lengths: Vec<usize> = Vec::new();
    let mut reader = Reader::new(data);
    while let Ok(op) = Op::read(&mut reader) {
        match op {
            Op::Push { len } => {
                let (before, position) = (history.kept(), lengths.len() as u64);
                let warned: Vec<u64> = before.clone().filter(|&at| history.would_overwrite(at, len)).collect();
                let mut entry = Entry::default();
                entry.sequence = position;
                assert_eq!(history.push(entry, &payload(position, len)), position);
                lengths.push(len);
                let gone: Vec<u64> = before.filter(|&at| history.get(at).is_none()).collect();
                assert_eq!(warned, gone, "it said what it would overwrite");
                assert!(history.get(position).is_some(), "the newest is kept");
            }
            Op::Get { back } => {
                let position = (lengths.len() as u64).wrapping_sub(back.into());
                assert_eq!(history.get(position).is_some(), history.kept().contains(&position));
                assert!(!history.would_overwrite(lengths.len() as u64, DATAGRAM_MAX), "what is not there yet is safe");
            }
        }
        check(&history, &lengths);
    }
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Push { len: usize },
    Get { back: u16 },
}

impl Op {
    fn read(reader: &mut Reader<'_>) -> Result<Op, WireError> {
        let word = reader.u16("op")?;
        Ok(match word >> 15 {
            0 => Op::Push { len: usize::from(word) % (DATAGRAM_MAX + 1) },
            _ => Op::Get { back: word & 0xff },
        })
    }
}

fn check(history: &History, lengths: &[usize]) {
    let kept = history.kept();
    assert_eq!(kept.end, lengths.len() as u64);
    assert!(kept.end - kept.start <= ENTRIES as u64);
    let mut bytes = 0;
    for position in kept {
        let (entry, kept) = history.get(position).expect("it says that it keeps it");
        assert_eq!(entry.sequence, position);
        let len = lengths[usize::try_from(position).expect("few operations")];
        assert!(kept == payload(position, len), "position {position} has been overwritten");
        bytes += len;
    }
    assert!(bytes <= BYTES);
}

fn payload(position: u64, len: usize) -> Vec<u8> {
    vec![position.to_le_bytes()[0]; len]
}

const BYTES: usize = 2 * DATAGRAM_MAX + 500;
const ENTRIES: usize = 8;
