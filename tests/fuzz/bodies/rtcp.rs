//! RTCP datagrams: every packet's views and iterators end, and what is read is written and read again as the same.

use std::collections::BTreeSet;

use portunus::wire::rtcp::twcc::DELTA_US;
use portunus::wire::rtcp::twcc::REFERENCE_US;
use portunus::wire::rtcp::{Compound, Nack, Packet, ReportBlock, TransportFeedback, nack};

/// One datagram.
pub fn run(data: &[u8]) {
    for packet in Compound::new(data) {
        let Ok(packet) = packet else { continue };
        match packet {
            Packet::SenderReport(report) => {
                report.report_blocks().for_each(block);
                again(packet, |out| report.write(out).ok());
            }
            Packet::ReceiverReport(report) => {
                report.report_blocks().for_each(block);
                again(packet, |out| report.write(out).ok());
            }
            Packet::SourceDescription(_) => {}
            Packet::Bye(bye) => {
                bye.sources().for_each(drop);
                again(packet, |out| bye.write(out).ok());
            }
            Packet::Nack(nack) => {
                lost(nack);
                again(packet, |out| nack.write(out).ok());
            }
            Packet::Pli(pli) => again(packet, |out| pli.write(out).ok()),
            Packet::Fir(fir) => {
                fir.requests().for_each(drop);
                again(packet, |out| fir.write(out).ok());
            }
            Packet::Remb(remb) => {
                remb.sources().for_each(drop);
                // More than 64 bits is read as no limit, which has more than the 18 bits that are written.
                if remb.bitrate < u64::MAX {
                    again(packet, |out| remb.write(out).ok());
                }
            }
            Packet::TransportFeedback(feedback) => arrivals(feedback),
            Packet::Other { .. } => {}
        }
    }
}

/// A packet that we could have sent ourselves is read back as it was.
fn again(packet: Packet<'_>, write: impl FnOnce(&mut [u8]) -> Option<usize>) {
    let mut out = vec![0; 4 * 65_536];
    let len = write(&mut out).expect("what fits a datagram fits 256 KiB");
    let mut packets = Compound::new(&out[..len]);
    let read = packets.next().and_then(Result::ok);
    // The views have no common equality; their `Debug` shows every byte of them.
    assert_eq!(format!("{read:?}"), format!("{:?}", Some(packet)));
    assert!(packets.next().is_none());
}

fn block(block: ReportBlock) {
    assert_eq!(ReportBlock::from_bytes(&block.to_bytes()), block);
}

/// However hostile the entries, packing what they ask for asks for the same.
fn lost(nack: Nack<'_>) {
    let asked: BTreeSet<u16> = nack.lost().collect();
    let mut room = vec![[0; 4]; 17 * nack.entries.len()];
    let packed = Nack { entries: nack::pack(nack.lost(), &mut room), ..nack };
    assert_eq!(packed.lost().collect::<BTreeSet<u16>>(), asked);
    let mut room = vec![[0; 4]; asked.len()];
    let sorted = Nack { entries: nack::pack(asked.iter().copied(), &mut room), ..nack };
    assert!(sorted.lost().eq(asked), "oldest first they come out as they went in");
}

fn arrivals(read: TransportFeedback<'_>) {
    let arrivals: Vec<_> = read.arrivals().collect();
    assert_eq!(arrivals.len(), usize::from(read.status_count));
    let mut at = i64::from(read.feedback.reference_time) * REFERENCE_US;
    let statuses: Vec<Option<i16>> = arrivals
        .iter()
        .map(|(_, arrived)| {
            let delta = (*arrived)? - at;
            at += delta;
            Some(i16::try_from(delta / DELTA_US).expect("a delta is 16 bits"))
        })
        .collect();
    let mut out = vec![0; 4 * 65_536];
    let len = read.feedback.write(&statuses, &mut out).expect("three bytes for each of at most 65535");
    let Some(Ok(Packet::TransportFeedback(again))) = Compound::new(&out[..len]).next() else { panic!("not a TWCC") };
    assert_eq!(again.feedback, read.feedback);
    assert!(again.arrivals().eq(arrivals));
}
