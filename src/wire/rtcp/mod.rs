//! RTCP packets as bytes: one file per packet type, each a view that borrows when parsed and writes itself into a lent slice.
//! When they are sent, and what follows from them, is `proto`. RFC 3550 §6, RFC 4585 §6, RFC 5104, REMB and TWCC drafts.

use super::error::WireError;
use super::reader::Reader;

pub mod bye;
pub mod compound;
pub mod fir;
pub mod nack;
pub mod pli;
pub mod remb;
pub mod rr;
pub mod sdes;
pub mod sr;
pub mod twcc;

pub use bye::Bye;
pub use compound::{Compound, Packet};
pub use fir::{Fir, IntraRequest};
pub use nack::Nack;
pub use pli::Pli;
pub use remb::Remb;
pub use rr::{ReceiverReport, ReportBlock};
pub use sdes::{Cname, SourceDescription};
pub use sr::{Ntp, SenderInfo, SenderReport};
pub use twcc::TransportFeedback;

/// Packet types and feedback formats: RFC 3550 §12.1, RFC 4585 §6.1 to §6.4, RFC 5104 §4.3.
mod packet_type {
    pub const SENDER_REPORT: u8 = 200;
    pub const RECEIVER_REPORT: u8 = 201;
    pub const SOURCE_DESCRIPTION: u8 = 202;
    pub const BYE: u8 = 203;
    pub const TRANSPORT_FEEDBACK: u8 = 205;
    pub const PAYLOAD_FEEDBACK: u8 = 206;
    pub const FORMAT_NACK: u8 = 1;
    pub const FORMAT_TWCC: u8 = 15;
    pub const FORMAT_PLI: u8 = 1;
    pub const FORMAT_FIR: u8 = 4;
    pub const FORMAT_APPLICATION: u8 = 15;
}

/// The SSRC in feedback of receivers that do not say which source they mean.
pub const ANY_SSRC: u32 = 0;

const VERSION: u8 = 2;

/// The body of a packet with the five bits of its header that depend on the type: a count or a feedback format.
#[derive(Clone, Copy)]
struct Body<'a> {
    count: u8,
    bytes: &'a [u8],
}

impl<'a> Body<'a> {
    fn reader(self) -> Reader<'a> {
        Reader::new(self.bytes)
    }
}

/// Composes one packet: the header, what is put, the length at the end.
struct Composer<'a> {
    out: &'a mut [u8],
    len: usize,
}

impl<'a> Composer<'a> {
    fn new(out: &'a mut [u8], count: u8, packet_type: u8) -> Result<Self, WireError> {
        let mut composer = Composer { out, len: 0 };
        composer.put(&[VERSION << 6 | count & 0x1f, packet_type, 0, 0])?;
        Ok(composer)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        let end = self.len + bytes.len();
        self.out.get_mut(self.len..end).ok_or(WireError::NoSpace("RTCP packet"))?.copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }

    fn put_u32(&mut self, value: u32) -> Result<(), WireError> {
        self.put(&value.to_be_bytes())
    }

    /// Fills up to 32 bits with zeros, sets the length and gives it in bytes.
    fn finish(mut self) -> Result<usize, WireError> {
        while !self.len.is_multiple_of(4) {
            self.put(&[0])?;
        }
        // "The length of this RTCP packet in 32-bit words minus one."
        let words = u16::try_from(self.len / 4 - 1).map_err(|_| WireError::BadLength("RTCP packet"))?;
        self.out[2..4].copy_from_slice(&words.to_be_bytes());
        Ok(self.len)
    }
}

/// A list's length as the five-bit count of the header.
fn count_of(len: usize) -> Result<u8, WireError> {
    u8::try_from(len).ok().filter(|&n| n <= 31).ok_or(WireError::BadLength("RTCP count"))
}

/// All that is left as entries of `N` bytes.
fn entries<'a, const N: usize>(r: &mut Reader<'a>, what: &'static str) -> Result<&'a [[u8; N]], WireError> {
    let (entries, rest) = r.rest().as_chunks::<N>();
    if rest.is_empty() { Ok(entries) } else { Err(WireError::BadLength(what)) }
}

/// Exactly `count` entries of `N` bytes.
fn counted<'a, const N: usize>(
    r: &mut Reader<'a>,
    count: usize,
    what: &'static str,
) -> Result<&'a [[u8; N]], WireError> {
    Ok(r.take(count * N, what)?.as_chunks::<N>().0)
}
