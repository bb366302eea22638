//! Packets as files of captures have them: the records of pcap (draft-ietf-opsawg-pcap) with Ethernet, IP and UDP headers
//! made up around each packet, and the hex lines that text2pcap reads. Only composing, and only what UDP carries.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};

use arrayvec::ArrayVec;

/// What a capture's file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Binary, with addresses.
    Pcap,
    /// A line of hex a packet: `text2pcap -D -t %H:%M:%S.%f -u 1000,2000` makes a pcap of it.
    Text,
}

/// Which way a packet went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the peer to us.
    In,
    /// From us to the peer.
    Out,
}

/// One packet to write down.
#[derive(Clone, Copy, Debug)]
pub struct Captured<'a> {
    /// Microseconds since 1970.
    pub unix_us: u64,
    pub direction: Direction,
    pub local: SocketAddr,
    pub remote: SocketAddr,
    /// Its pieces, in order; together at most 65,507 bytes.
    pub pieces: &'a [&'a [u8]],
    /// Bytes of it to keep.
    pub keep: usize,
}

const ETHERNET: usize = 14;
const UDP: usize = 8;

impl Format {
    /// How a file begins.
    pub fn preamble(self) -> &'static [u8] {
        match self {
            // Little endian with microseconds, version 2.4, packets of any length, Ethernet.
            Format::Pcap => b"\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\xff\xff\0\0\x01\0\0\0",
            Format::Text => b"",
        }
    }

    /// The ending of file names.
    pub fn ending(self) -> &'static str {
        match self {
            Format::Pcap => "pcap",
            Format::Text => "txt",
        }
    }

    /// Appends a packet.
    pub fn append(self, packet: &Captured<'_>, out: &mut Vec<u8>) {
        match self {
            Format::Pcap => append_record(packet, out),
            Format::Text => append_line(packet, out),
        }
    }
}

impl Captured<'_> {
    fn len(&self) -> usize {
        self.pieces.iter().map(|piece| piece.len()).sum()
    }

    fn kept(&self) -> impl Iterator<Item = u8> + '_ {
        self.pieces.iter().copied().flatten().copied().take(self.keep)
    }
}

fn append_record(packet: &Captured<'_>, out: &mut Vec<u8>) {
    let (from, to) = match packet.direction {
        Direction::In => (packet.remote, packet.local),
        Direction::Out => (packet.local, packet.remote),
    };
    let (len, kept) = (packet.len(), packet.len().min(packet.keep));
    let ip = if from.is_ipv4() { 20 } else { 40 };
    let word = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
    // The seconds of the format are 32-bit and wrap.
    let seconds = ((packet.unix_us / 1_000_000) & 0xffff_ffff) as u32;
    let micros = (packet.unix_us % 1_000_000) as u32;
    out.extend(seconds.to_le_bytes());
    out.extend(micros.to_le_bytes());
    out.extend(word(ETHERNET + ip + UDP + kept));
    out.extend(word(ETHERNET + ip + UDP + len));

    // Locally administered addresses: ours ends in 1, the peer's in 2.
    let (ours, theirs) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let (source, sink) = if packet.direction == Direction::In { (theirs, ours) } else { (ours, theirs) };
    out.extend(sink);
    out.extend(source);
    let udp_len = u16::try_from(UDP + len).unwrap_or(u16::MAX);
    let mut addresses = ArrayVec::<u8, 32>::new();
    match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            addresses.extend(from.octets().into_iter().chain(to.octets()));
            out.extend([0x08, 0x00]);
            let total = u16::try_from(20 + UDP + len).unwrap_or(u16::MAX).to_be_bytes();
            // RFC 791: no fragments, 64 hops, UDP.
            let mut header = [0x45, 0, total[0], total[1], 0, 0, 0x40, 0, 64, 17, 0, 0];
            let sum = checksum(header.into_iter().chain(addresses.iter().copied())).to_be_bytes();
            header[10..12].copy_from_slice(&sum);
            out.extend(header);
            out.extend(&addresses);
        }
        (from, to) => {
            // Both are IPv6; an IPv4 address would be a mapped one here.
            let six = |ip: IpAddr| match ip {
                IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
                IpAddr::V6(ip) => ip.octets(),
            };
            addresses.extend(six(from).into_iter().chain(six(to)));
            out.extend([0x86, 0xdd]);
            out.extend([0x60, 0, 0, 0]);
            out.extend(udp_len.to_be_bytes());
            out.extend([17, 64]);
            out.extend(&addresses);
        }
    }
    let mut udp = [0; UDP];
    udp[..2].copy_from_slice(&from.port().to_be_bytes());
    udp[2..4].copy_from_slice(&to.port().to_be_bytes());
    udp[4..6].copy_from_slice(&udp_len.to_be_bytes());
    let pseudo = addresses.into_iter().chain([0, 17]).chain(udp_len.to_be_bytes()).chain(udp);
    // A sum of zero is sent as ones (RFC 768).
    let sum = match checksum(pseudo.chain(packet.pieces.iter().copied().flatten().copied())) {
        0 => u16::MAX,
        sum => sum,
    };
    udp[6..].copy_from_slice(&sum.to_be_bytes());
    out.extend(udp);
    out.extend(packet.kept());
}

/// RFC 1071.
fn checksum(bytes: impl Iterator<Item = u8>) -> u16 {
    let sum: u64 = bytes.enumerate().map(|(i, byte)| u64::from(byte) << if i % 2 == 0 { 8 } else { 0 }).sum();
    let folded = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    let folded = (folded & 0xffff) + (folded >> 16);
    !((folded & 0xffff) as u16)
}

fn append_line(packet: &Captured<'_>, out: &mut Vec<u8>) {
    let direction = if packet.direction == Direction::In { 'I' } else { 'O' };
    let (seconds, micros) = (packet.unix_us / 1_000_000, packet.unix_us % 1_000_000);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    // Writing to a vector does not fail.
    let _ = write!(out, "{direction} {hour:02}:{minute:02}:{second:02}.{micros:06} 000000");
    for byte in packet.kept() {
        let _ = write!(out, " {byte:02x}");
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet<'a>(pieces: &'a [&'a [u8]], direction: Direction, keep: usize) -> Captured<'a> {
        let (local, remote) = ("192.0.2.1:20000".parse().unwrap(), "198.51.100.7:4000".parse().unwrap());
        Captured { unix_us: 1_700_000_003_000_042, direction, local, remote, pieces, keep }
    }

    fn appended(format: Format, packet: &Captured<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        format.append(packet, &mut out);
        out
    }

    #[test]
    fn a_record_has_the_lengths_addresses_and_sums_of_its_packet() {
        let pieces: [&[u8]; 2] = [&[0x80, 96, 0], &[7]];
        let record = appended(Format::Pcap, &packet(&pieces, Direction::In, usize::MAX));
        assert_eq!(record[..8], [&1_700_000_003_u32.to_le_bytes()[..], &42_u32.to_le_bytes()].concat());
        assert_eq!(record[8..16], [46, 0, 0, 0, 46, 0, 0, 0]);
        let frame = &record[16..];
        assert_eq!(frame.len(), 46);
        assert_eq!(frame[..14], [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0]);
        assert_eq!(frame[26..34], [198, 51, 100, 7, 192, 0, 2, 1]);
        assert_eq!(frame[34..40], [0x0f, 0xa0, 0x4e, 0x20, 0, 12]);
        assert_eq!(frame[42..], [0x80, 96, 0, 7]);
        // RFC 1071: what is summed with its checksum is all ones.
        assert_eq!(checksum(frame[14..34].iter().copied()), 0);
        let pseudo = frame[26..34].iter().copied().chain([0, 17, 0, 12]).chain(frame[34..].iter().copied());
        assert_eq!(checksum(pseudo), 0);
    }

    #[test]
    fn what_is_truncated_says_how_long_it_was() {
        let record = appended(Format::Pcap, &packet(&[&[9; 100]], Direction::Out, 12));
        assert_eq!(record[8..16], [54, 0, 0, 0, 142, 0, 0, 0]);
        assert_eq!(record.len(), 16 + 54);
        assert_eq!(record[16 + 26..16 + 30], [192, 0, 2, 1]);
        assert_eq!(
            appended(Format::Text, &packet(&[&[9; 100]], Direction::Out, 2)),
            b"O 22:13:23.000042 000000 09 09\n"
        );
    }

    #[test]
    fn ipv6_has_its_own_header_and_a_sum_that_is_never_zero() {
        let (local, remote) = ("[2001:db8::1]:5".parse().unwrap(), "[2001:db8::2]:6".parse().unwrap());
        let packet = Captured { local, remote, ..packet(&[&[1, 2, 3]], Direction::Out, usize::MAX) };
        let record = appended(Format::Pcap, &packet);
        let frame = &record[16..];
        assert_eq!((frame.len(), &frame[12..14]), (14 + 40 + 8 + 3, &[0x86, 0xdd][..]));
        assert_eq!(frame[14..22], [0x60, 0, 0, 0, 0, 11, 17, 64]);
        let pseudo = frame[22..54].iter().copied().chain([0, 17, 0, 11]).chain(frame[54..].iter().copied());
        assert_eq!(checksum(pseudo), 0);
    }
}
