//! A datagram of RTCP as the packets in it. A packet that is wrong inside its length is one error and the next is tried; a length
//! that is wrong ends the datagram. Reduced size is accepted: nothing is asked of the first packet (RFC 5506 §3.4.2).

use super::packet_type as pt;
use super::{
    Body, Bye, Fir, Nack, Pli, ReceiverReport, Remb, SenderReport, SourceDescription, TransportFeedback, VERSION,
};
use crate::wire::error::WireError;
use crate::wire::reader::Reader;

/// One RTCP packet, borrowed.
#[derive(Clone, Copy, Debug)]
pub enum Packet<'a> {
    /// SR, RFC 3550 §6.4.1.
    SenderReport(SenderReport<'a>),
    /// RR, RFC 3550 §6.4.2.
    ReceiverReport(ReceiverReport<'a>),
    /// SDES, RFC 3550 §6.5.
    SourceDescription(SourceDescription),
    /// BYE, RFC 3550 §6.6.
    Bye(Bye<'a>),
    /// Generic NACK, RFC 4585 §6.2.1.
    Nack(Nack<'a>),
    /// Picture loss indication, RFC 4585 §6.3.1.
    Pli(Pli),
    /// Full intra request, RFC 5104 §4.3.1.
    Fir(Fir<'a>),
    /// Receiver estimated maximum bitrate, draft-alvestrand-rmcat-remb-03 §2.2.
    Remb(Remb<'a>),
    /// Transport-wide congestion control feedback, draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1.
    TransportFeedback(TransportFeedback<'a>),
    /// Another type or format: XR, APP, TMMBR and what is yet to come.
    Other {
        /// The packet type.
        packet_type: u8,
        /// The count or feedback format, 0 ..= 31.
        count: u8,
    },
}

/// The packets of one datagram, in order.
#[derive(Clone, Debug)]
pub struct Compound<'a> {
    rest: Reader<'a>,
}

impl<'a> Compound<'a> {
    /// Starts at the first packet.
    pub fn new(bytes: &'a [u8]) -> Self {
        Compound { rest: Reader::new(bytes) }
    }

    fn split(&mut self) -> Result<(u8, bool, Body<'a>), WireError> {
        let [first, packet_type] = self.rest.array("RTCP header")?;
        let words = self.rest.u16("RTCP header")?;
        if first >> 6 != VERSION {
            return Err(WireError::BadVersion("RTCP header"));
        }
        let bytes = self.rest.take(4 * usize::from(words), "RTCP packet")?;
        Ok((packet_type, first & 0x20 != 0, Body { count: first & 0x1f, bytes }))
    }
}

impl<'a> Iterator for Compound<'a> {
    type Item = Result<Packet<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match self.split() {
            Ok((packet_type, padded, body)) => Some(packet(packet_type, padded, body)),
            Err(error) => {
                self.rest.rest();
                Some(Err(error))
            }
        }
    }
}

fn packet<'a>(packet_type: u8, padded: bool, mut body: Body<'a>) -> Result<Packet<'a>, WireError> {
    if padded {
        // RFC 3550 §6.4.1: the last octet of the padding counts the octets to be ignored, including itself.
        let padding = usize::from(*body.bytes.last().ok_or(WireError::BadLength("RTCP padding"))?);
        let kept = body.bytes.len().checked_sub(padding).filter(|_| padding > 0);
        body.bytes = &body.bytes[..kept.ok_or(WireError::BadLength("RTCP padding"))?];
    }
    match (packet_type, body.count) {
        (pt::SENDER_REPORT, _) => SenderReport::parse(body).map(Packet::SenderReport),
        (pt::RECEIVER_REPORT, _) => ReceiverReport::parse(body).map(Packet::ReceiverReport),
        (pt::SOURCE_DESCRIPTION, _) => SourceDescription::parse(body).map(Packet::SourceDescription),
        (pt::BYE, _) => Bye::parse(body).map(Packet::Bye),
        (pt::TRANSPORT_FEEDBACK, pt::FORMAT_NACK) => Nack::parse(body).map(Packet::Nack),
        (pt::TRANSPORT_FEEDBACK, pt::FORMAT_TWCC) => TransportFeedback::parse(body).map(Packet::TransportFeedback),
        (pt::PAYLOAD_FEEDBACK, pt::FORMAT_PLI) => Pli::parse(body).map(Packet::Pli),
        (pt::PAYLOAD_FEEDBACK, pt::FORMAT_FIR) => Fir::parse(body).map(Packet::Fir),
        (pt::PAYLOAD_FEEDBACK, pt::FORMAT_APPLICATION) if Remb::is_remb(body) => Remb::parse(body).map(Packet::Remb),
        (packet_type, count) => Ok(Packet::Other { packet_type, count }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLI: [u8; 12] = [0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2];

    #[test]
    fn packets_come_in_order_and_reduced_size_needs_no_report_first() {
        let bytes = [&PLI[..], &[0x80, 201, 0, 1, 0, 0, 0, 9], &[0x80, 207, 0, 1, 0, 0, 0, 9]].concat();
        let kinds: Vec<_> = Compound::new(&bytes).map(Result::unwrap).collect();
        assert!(matches!(kinds[0], Packet::Pli(Pli { sender_ssrc: 1, media_ssrc: 2 })));
        assert!(matches!(kinds[1], Packet::ReceiverReport(ReceiverReport { ssrc: 9, blocks: &[] })));
        assert!(matches!(kinds[2], Packet::Other { packet_type: 207, count: 0 }));
        assert_eq!(kinds.len(), 3);
    }

    #[test]
    fn a_packet_that_is_wrong_inside_its_length_does_not_hide_the_next() {
        let bytes = [&[0x81, 206, 0, 1, 0, 0, 0, 1][..], &PLI].concat();
        let mut compound = Compound::new(&bytes);
        assert!(matches!(compound.next(), Some(Err(WireError::Truncated(_)))));
        assert!(matches!(compound.next(), Some(Ok(Packet::Pli(_)))));
        assert!(compound.next().is_none());
    }

    #[test]
    fn a_wrong_length_or_version_ends_the_datagram() {
        for bad in [[0x81, 206, 0, 9], [0x41, 206, 0, 0]] {
            let bytes = [&bad[..], &PLI].concat();
            let mut compound = Compound::new(&bytes);
            assert!(matches!(compound.next(), Some(Err(_))));
            assert!(compound.next().is_none());
        }
        assert!(matches!(Compound::new(&PLI[..3]).next(), Some(Err(WireError::Truncated("RTCP header")))));
        assert!(Compound::new(&[]).next().is_none());
    }

    #[test]
    fn padding_is_removed_and_must_fit() {
        let mut bytes = [&PLI[..], &[0, 0, 0, 4]].concat();
        (bytes[0], bytes[3]) = (0xa1, 3);
        assert!(matches!(Compound::new(&bytes).next(), Some(Ok(Packet::Pli(_)))));
        for bad in [0, 13] {
            bytes[15] = bad;
            assert!(matches!(Compound::new(&bytes).next(), Some(Err(WireError::BadLength("RTCP padding")))));
        }
        assert!(matches!(Compound::new(&[0xa0, 201, 0, 0]).next(), Some(Err(WireError::BadLength(_)))));
    }

    /// A header that is believable, so that the parsers behind it are reached.
    fn plausible() -> impl Strategy<Value = Vec<u8>> {
        let one = (0u8..64, 199u8..=208, proptest::collection::vec(any::<[u8; 4]>(), 0..12)).prop_map(
            |(low, kind, words)| {
                let count = u8::try_from(words.len()).unwrap();
                [&[0x80 | low, kind, 0, count][..], words.as_flattened()].concat()
            },
        );
        proptest::collection::vec(one, 0..5).prop_map(|packets| packets.concat())
    }

    fn drain(bytes: &[u8]) -> usize {
        let mut seen = 0;
        for packet in Compound::new(bytes) {
            seen += match packet {
                Ok(Packet::SenderReport(p)) => p.report_blocks().count(),
                Ok(Packet::ReceiverReport(p)) => p.report_blocks().count(),
                Ok(Packet::SourceDescription(_)) => 1,
                Ok(Packet::Bye(p)) => p.sources().count(),
                Ok(Packet::Nack(p)) => p.lost().count(),
                Ok(Packet::Fir(p)) => p.requests().count(),
                Ok(Packet::Remb(p)) => p.sources().count(),
                Ok(Packet::TransportFeedback(p)) => {
                    assert_eq!(p.arrivals().count(), usize::from(p.status_count));
                    1
                }
                Ok(Packet::Pli(_) | Packet::Other { .. }) | Err(_) => 1,
            };
        }
        seen
    }

    proptest! {
        #[test]
        fn no_bytes_can_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            drain(&bytes);
        }

        #[test]
        fn no_believable_packets_can_make_it_panic(bytes in plausible()) {
            drain(&bytes);
        }
    }
}
