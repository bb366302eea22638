//! A leg's numbering under switches, pauses, losses, reordering and repetition: no outgoing number is ever given to two
//! packets (it is the nonce), and within one source distances stay as they were.

use std::collections::HashMap;
use std::time::Duration;

use portunus::media::rewrite::Rewrite;
use portunus::time::Mono;
use portunus::wire::error::WireError;
use portunus::wire::reader::Reader;

/// Operations.
pub fn run(data: &[u8]) {
    let mut reader = Reader::new(data);
    let mut rewrite = Rewrite::new(90_000, 100, 7);
    let mut now = Mono(0);
    let mut source = (1_u64 << 32, 0_u32);
    let mut base: Option<Base> = None;
    // Which packet each outgoing number was given to.
    let mut given: HashMap<u64, (u64, u64)> = HashMap::new();
    let (mut epoch, mut rebased, mut highest) = (0, true, 99);
    while let Ok(op) = Op::read(&mut reader) {
        match op {
            Op::Packet { ahead, ticks } => {
                let sequence = source.0.saturating_add_signed(ahead.into());
                let timestamp = source.1.wrapping_add_signed(ticks.into());
                source = (source.0.max(sequence), timestamp);
                let out = rewrite.map(sequence, timestamp, now);
                if rebased {
                    let out = out.expect("the packet after a switch begins its base");
                    assert_eq!(out.sequence, highest + 1, "numbers close up");
                    base = Some(Base { sequence, timestamp, to: out.sequence, at: out.timestamp });
                    (epoch, rebased) = (epoch + 1, false);
                }
                let base = base.as_ref().expect("a packet has been sent");
                assert_eq!(out.is_some(), sequence >= base.sequence, "older than the base belongs to nobody");
                let Some(out) = out else { continue };
                assert_eq!(out.sequence - base.to, sequence - base.sequence, "gaps stay gaps");
                let elapsed = (out.timestamp.wrapping_sub(base.at), timestamp.wrapping_sub(base.timestamp));
                assert_eq!(elapsed.0, elapsed.1, "one clock");
                assert_eq!(*given.entry(out.sequence).or_insert((epoch, sequence)), (epoch, sequence));
                highest = highest.max(out.sequence);
            }
            Op::Switch { sequence, timestamp } => {
                rewrite.switch();
                (source, rebased) = (((1 << 32) | u64::from(sequence), timestamp), true);
                assert_eq!(rewrite.timestamp_offset(), None, "no report speaks for a source that has sent nothing");
            }
            Op::Resume => {
                rewrite.resume();
                rebased = true;
            }
            Op::Advance { millis } => now = now + Duration::from_millis(millis.into()),
        }
    }
}

/// The first packet of a source or after a pause, as it came and as it went.
struct Base {
    sequence: u64,
    timestamp: u32,
    to: u64,
    at: u32,
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Packet { ahead: i16, ticks: i16 },
    Switch { sequence: u16, timestamp: u32 },
    Resume,
    Advance { millis: u16 },
}

impl Op {
    fn read(reader: &mut Reader<'_>) -> Result<Op, WireError> {
        Ok(match reader.u8("op")? % 8 {
            0 => Op::Switch { sequence: reader.u16("sequence")?, timestamp: reader.u32("timestamp")? },
            1 => Op::Resume,
            2 => Op::Advance { millis: reader.u16("millis")? },
            3..=5 => Op::Packet { ahead: i16::from(reader.u8("ahead")? % 4), ticks: 3000 },
            _ => Op::Packet { ahead: reader.u16("ahead")?.cast_signed(), ticks: reader.u16("ticks")?.cast_signed() },
        })
    }
}
