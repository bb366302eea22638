//! The sending half of one association: numbers and seals (RFC 3711 §3.3, §3.4). Here lives the nonce rule: each SSRC has
//! one index that lives as long as the keys, no index is sealed twice with two contents, and nothing else can become a
//! nonce. Indices may be left out and used later, so that a late packet finds the place that its source gave it; what is
//! older than the window of [`super::REPLAY_WINDOW`] packets is refused. What is worth resending is not known here.

use super::header::{rtcp_ssrc, rtp_header_len, stamp};
use super::replay::ReplayWindow;
use super::transform::Transform;
use super::{INDEX_MAX, MasterKey, Profile, RTCP_INDEX_MAX, SrtpError};

/// Keys and counters for what we send to a peer.
pub struct Outbound {
    profile: Profile,
    rtp: Transform,
    rtcp: Transform,
    streams: Vec<Stream>,
    senders: Vec<Sender>,
}

/// An open SSRC of one [`Outbound`]; meaningless in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OutboundStream(u32);

/// A sealed packet, which lies at the front of the slice that was lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Bytes of the SRTP packet.
    pub len: usize,
    /// Its index: rollover counter and sequence number, 48 bits.
    pub index: u64,
}

/// One SSRC: `next` follows the highest index used, `used` knows which of those before it were.
struct Stream {
    ssrc: u32,
    next: u64,
    used: Option<ReplayWindow>,
}

/// One SSRC in the sender field of our RTCP.
struct Sender {
    ssrc: u32,
    next: u32,
}

impl Outbound {
    /// Derives the session keys of our direction. A key of another profile is [`SrtpError::KeyLength`].
    pub fn new(profile: Profile, master: &MasterKey) -> Result<Outbound, SrtpError> {
        Ok(Outbound {
            profile,
            rtp: Transform::rtp(profile, master)?,
            rtcp: Transform::rtcp(profile, master)?,
            streams: Vec::new(),
            senders: Vec::new(),
        })
    }

    /// The profile these keys are for.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Opens an SSRC, whose first packet will have index `first_index`: a random number below 2^15, so that a receiver
    /// which misses the first packets still guesses the rollover counter (RFC 3711 §3.3.1).
    ///
    /// An SSRC that is already open keeps its stream, and its index goes on: `first_index` is ignored. There is no way to
    /// close one, because a nonce is spent for as long as the keys live; 24 bytes each.
    pub fn open(&mut self, ssrc: u32, first_index: u64) -> OutboundStream {
        let at = self.streams.iter().position(|stream| stream.ssrc == ssrc).unwrap_or_else(|| {
            self.streams.push(Stream { ssrc, next: first_index, used: None });
            self.streams.len() - 1
        });
        OutboundStream(u32::try_from(at).expect("SSRCs are 32-bit numbers"))
    }

    /// Seals the next packet of a stream: header, payload and `padding` bytes of padding (RFC 3550 §5.1) are copied into
    /// `out` and encrypted there.
    ///
    /// `header` is a complete RTP header with its CSRCs and extension; the sequence number, the SSRC and, if there is
    /// padding, the P bit are written into it, so that it can be kept for [`Self::seal_again`]. With `padding` 0 the P bit
    /// stays as it is: the payload may bring padding of its own.
    ///
    /// Errors, none of which uses up an index: `UnknownStream`, `TooShort` or `Malformed` (the header), `NoSpace`,
    /// `Exhausted`.
    pub fn seal(
        &mut self,
        stream: OutboundStream,
        header: &mut [u8],
        payload: &[u8],
        padding: u8,
        out: &mut [u8],
    ) -> Result<Sealed, SrtpError> {
        let index = self.stream(stream)?.next;
        self.seal_at(stream, index, header, payload, padding, out)
    }

    /// Seals a packet under an index of the caller's choice that has not been used: what is skipped stays free for
    /// packets that come late. `IndexUsed` when it has been, or when it lies too far behind the highest to tell; the
    /// other errors are those of [`Self::seal`].
    pub fn seal_at(
        &mut self,
        stream: OutboundStream,
        index: u64,
        header: &mut [u8],
        payload: &[u8],
        padding: u8,
        out: &mut [u8],
    ) -> Result<Sealed, SrtpError> {
        let of = self.stream(stream)?;
        if index > INDEX_MAX {
            return Err(SrtpError::Exhausted);
        }
        if of.used.as_ref().is_some_and(|used| used.check(index).is_err()) {
            return Err(SrtpError::IndexUsed);
        }
        let ssrc = of.ssrc;
        let out = self.room(header, payload, padding, out)?;
        let of = &mut self.streams[stream.0 as usize];
        of.used.get_or_insert_with(|| ReplayWindow::starting_at(index)).accept(index);
        of.next = of.next.max(index + 1);
        Ok(self.encrypt(ssrc, index, header, payload, padding, out))
    }

    /// Seals a packet once more under the index it had. **Header, payload and padding must be those of the first time**,
    /// byte for byte: two contents under one index give both away. An index that was not sealed within the last [`super::REPLAY_WINDOW`] is `UnknownIndex`;
    /// the other errors are those of [`Self::seal`].
    pub fn seal_again(
        &self,
        stream: OutboundStream,
        index: u64,
        header: &mut [u8],
        payload: &[u8],
        padding: u8,
        out: &mut [u8],
    ) -> Result<Sealed, SrtpError> {
        let of = self.stream(stream)?;
        if !of.used.as_ref().is_some_and(|used| used.holds(index)) {
            return Err(SrtpError::UnknownIndex);
        }
        let out = self.room(header, payload, padding, out)?;
        Ok(self.encrypt(of.ssrc, index, header, payload, padding, out))
    }

    /// Copies a compound RTCP packet into `out` and seals it there; returns the length of the SRTCP packet. The index
    /// belongs to the sender's SSRC of the first packet and starts at 0 (RFC 3711 §3.4).
    ///
    /// Errors: `TooShort`, `Malformed`, `NoSpace`, `Exhausted` after 2^31 packets.
    pub fn protect_rtcp(&mut self, packet: &[u8], out: &mut [u8]) -> Result<usize, SrtpError> {
        let ssrc = rtcp_ssrc(packet)?;
        let len = packet.len() + self.profile.rtcp_overhead();
        let out = out.get_mut(..len).ok_or(SrtpError::NoSpace)?;
        let index = self.next_rtcp_index(ssrc)?;
        out[..packet.len()].copy_from_slice(packet);
        self.rtcp.seal_rtcp(ssrc, index, out);
        Ok(len)
    }

    fn stream(&self, stream: OutboundStream) -> Result<&Stream, SrtpError> {
        self.streams.get(stream.0 as usize).ok_or(SrtpError::UnknownStream)
    }

    /// Checks the header and takes from `out` exactly what the sealed packet will fill.
    fn room<'o>(
        &self,
        header: &[u8],
        payload: &[u8],
        padding: u8,
        out: &'o mut [u8],
    ) -> Result<&'o mut [u8], SrtpError> {
        if rtp_header_len(header)? != header.len() {
            return Err(SrtpError::Malformed);
        }
        let len = header.len() + payload.len() + usize::from(padding) + self.profile.rtp_overhead();
        out.get_mut(..len).ok_or(SrtpError::NoSpace)
    }

    fn encrypt(&self, ssrc: u32, index: u64, header: &mut [u8], payload: &[u8], padding: u8, out: &mut [u8]) -> Sealed {
        stamp(header, ssrc, index, padding);
        let (head, rest) = out.split_at_mut(header.len());
        let (text, rest) = rest.split_at_mut(payload.len());
        head.copy_from_slice(header);
        text.copy_from_slice(payload);
        if let Some((last, zeros)) = rest[..padding.into()].split_last_mut() {
            zeros.fill(0);
            *last = padding;
        }
        self.rtp.seal_rtp(ssrc, index, out, header.len());
        Sealed { len: out.len(), index }
    }

    fn next_rtcp_index(&mut self, ssrc: u32) -> Result<u32, SrtpError> {
        let at = self.senders.iter().position(|sender| sender.ssrc == ssrc).unwrap_or_else(|| {
            self.senders.push(Sender { ssrc, next: 0 });
            self.senders.len() - 1
        });
        let index = self.senders[at].next;
        if index > RTCP_INDEX_MAX {
            return Err(SrtpError::Exhausted);
        }
        self.senders[at].next = index + 1;
        Ok(index)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Inbound;
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn pair(profile: Profile) -> (Outbound, Inbound) {
        let master = MasterKey::new(profile, &vec![3; profile.key_len()], &vec![4; profile.salt_len()]).unwrap();
        (Outbound::new(profile, &master).unwrap(), Inbound::new(profile, &master).unwrap())
    }

    fn header() -> [u8; 12] {
        [0x80, 0xe0, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0]
    }

    #[test]
    fn opening_an_ssrc_again_goes_on_with_its_index() {
        let (mut out, _) = pair(Profile::AeadAes128Gcm);
        let mut buffer = [0; 64];
        let stream = out.open(9, 500);
        assert_eq!(out.seal(stream, &mut header(), b"a", 0, &mut buffer).unwrap().index, 500);
        assert_eq!(out.open(9, 500), stream);
        assert_eq!(out.seal(stream, &mut header(), b"b", 0, &mut buffer).unwrap().index, 501);
        assert_ne!(out.open(10, 500), stream);
    }

    #[test]
    fn the_sealer_writes_sequence_and_ssrc_whatever_the_caller_had_there() {
        let (mut out, mut inbound) = pair(Profile::AeadAes128Gcm);
        let stream = out.open(0xdead_beef, 0x7fff);
        let (mut header, mut packet) = (header(), [0; 64]);
        header[2..4].copy_from_slice(&[0xab, 0xcd]);
        let sealed = out.seal(stream, &mut header, b"x", 0, &mut packet).unwrap();
        assert_eq!(header, [0x80, 0xe0, 0x7f, 0xff, 1, 2, 3, 4, 0xde, 0xad, 0xbe, 0xef]);
        assert_eq!(packet[..12], header);
        assert_eq!(inbound.unprotect_rtp(&mut packet[..sealed.len]).unwrap().index, 0x7fff);
    }

    #[test]
    fn a_resend_is_the_same_packet_byte_for_byte() {
        for profile in Profile::ALL {
            let (mut out, _) = pair(profile);
            let stream = out.open(1, 0xffff);
            let (mut kept, mut first, mut again) = (header(), [0; 64], [0; 64]);
            let sealed = out.seal(stream, &mut kept, b"payload", 3, &mut first).unwrap();
            out.seal(stream, &mut header(), b"other", 0, &mut [0; 64]).unwrap();
            assert_eq!(out.seal_again(stream, sealed.index, &mut kept, b"payload", 3, &mut again), Ok(sealed));
            assert_eq!(first, again);
        }
    }

    #[test]
    fn an_index_that_was_never_sealed_is_not_resent() {
        let (mut out, _) = pair(Profile::AeadAes128Gcm);
        let stream = out.open(1, 10);
        let mut buffer = [0; 64];
        out.seal(stream, &mut header(), b"x", 0, &mut buffer).unwrap();
        for index in [0, 9, 11, 10 + (1 << 16), u64::MAX] {
            let refused = out.seal_again(stream, index, &mut header(), b"x", 0, &mut buffer);
            assert_eq!(refused, Err(SrtpError::UnknownIndex), "index {index}");
        }
        assert!(out.seal_again(stream, 10, &mut header(), b"x", 0, &mut buffer).is_ok());
    }

    #[test]
    fn a_refused_packet_uses_up_no_index() {
        let (mut out, _) = pair(Profile::AesCm128HmacSha1_80);
        let stream = out.open(1, 10);
        let mut buffer = [0; 12 + 4 + 2 + 10];
        assert_eq!(out.seal(stream, &mut header(), b"12345", 2, &mut buffer), Err(SrtpError::NoSpace));
        assert_eq!(out.seal(stream, &mut header()[..11], b"1234", 2, &mut buffer), Err(SrtpError::TooShort));
        let mut long = [0; 13];
        long[0] = 0x80;
        assert_eq!(out.seal(stream, &mut long, b"123", 2, &mut buffer), Err(SrtpError::Malformed));
        assert_eq!(out.seal(OutboundStream(1), &mut header(), b"", 0, &mut buffer), Err(SrtpError::UnknownStream));
        assert_eq!(out.seal(stream, &mut header(), b"1234", 2, &mut buffer), Ok(Sealed { len: 28, index: 10 }));
        let mut report = [0; 20];
        assert_eq!(out.protect_rtcp(&[0x80, 201, 0, 1, 0, 0, 0, 1], &mut report), Err(SrtpError::NoSpace));
        assert_eq!(out.protect_rtcp(&[0x80, 201, 0, 1], &mut report), Err(SrtpError::TooShort));
        assert!(out.senders.is_empty());
    }

    #[test]
    fn exhausted_indices_end_a_stream_instead_of_starting_again() {
        let (mut out, _) = pair(Profile::AeadAes128Gcm);
        let stream = out.open(1, INDEX_MAX);
        let mut buffer = [0; 64];
        assert_eq!(out.seal(stream, &mut header(), b"x", 0, &mut buffer).unwrap().index, INDEX_MAX);
        assert_eq!(out.seal(stream, &mut header(), b"x", 0, &mut buffer), Err(SrtpError::Exhausted));
        let report = [0x80, 201, 0, 1, 0, 0, 0, 1];
        out.senders.push(Sender { ssrc: 1, next: RTCP_INDEX_MAX });
        assert!(out.protect_rtcp(&report, &mut buffer).is_ok());
        assert_eq!(out.protect_rtcp(&report, &mut buffer), Err(SrtpError::Exhausted));
    }

    /// What a leg keeps of a packet so that it can be resent.
    struct Kept {
        stream: OutboundStream,
        ssrc: u32,
        index: u64,
        header: [u8; 12],
        payload: Vec<u8>,
        padding: u8,
    }

    fn any_header() -> impl Strategy<Value = Vec<u8>> {
        let extension = prop::option::of(prop::collection::vec(any::<[u8; 4]>(), 0..6));
        (any::<[u8; 11]>(), prop::collection::vec(any::<[u8; 4]>(), 0..16), extension).prop_map(
            |(rest, csrcs, extension)| {
                let count = u8::try_from(csrcs.len()).unwrap();
                let mut header = vec![0x80 | count | if extension.is_some() { 0x10 } else { 0 }];
                header.extend(rest);
                header.extend(csrcs.concat());
                if let Some(words) = extension {
                    header.extend([0xbe, 0xde, 0, u8::try_from(words.len()).unwrap()]);
                    header.extend(words.concat());
                }
                header
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_sealed_is_opened_for_every_shape_of_packet(
            mut header in any_header(),
            payload in prop::collection::vec(any::<u8>(), 0..1400),
            padding in any::<u8>(),
            first in 0..INDEX_MAX,
        ) {
            for profile in Profile::ALL {
                let (mut out, mut inbound) = pair(profile);
                let stream = out.open(77, first & 0xffff);
                let mut packet = vec![0xaa; 2000];
                let sealed = out.seal(stream, &mut header, &payload, padding, &mut packet).unwrap();
                let plain_len = header.len() + payload.len() + usize::from(padding);
                prop_assert_eq!(sealed.len, plain_len + profile.rtp_overhead());
                prop_assert!(packet[sealed.len..].iter().all(|&byte| byte == 0xaa), "wrote past the packet");
                let opened = inbound.unprotect_rtp(&mut packet[..sealed.len]).unwrap();
                prop_assert_eq!((opened.len, opened.index), (plain_len, sealed.index));
                let (text, pad) = packet[header.len()..plain_len].split_at(payload.len());
                prop_assert_eq!(&packet[..header.len()], &header[..]);
                prop_assert_eq!(text, &payload[..]);
                prop_assert_eq!(header[0] & 0x20 != 0, padding > 0);
                prop_assert!(pad.last().is_none_or(|&count| count == padding));
                header[0] &= !0x20;
            }
        }

        #[test]
        fn rtcp_of_every_length_comes_back(body in prop::collection::vec(any::<u8>(), 0..300), ssrc: u32) {
            for profile in Profile::ALL {
                let (mut out, mut inbound) = pair(profile);
                let report = [&[0x80, 200, 0, 0], &ssrc.to_be_bytes()[..], &body].concat();
                let mut packet = vec![0; report.len() + profile.rtcp_overhead()];
                prop_assert_eq!(out.protect_rtcp(&report, &mut packet), Ok(packet.len()));
                prop_assert_eq!(inbound.unprotect_rtcp(&mut packet), Ok(report.len()));
                prop_assert_eq!(&packet[..report.len()], &report[..]);
            }
        }

        #[test]
        fn no_key_ssrc_and_index_is_ever_sealed_with_two_contents(
            ops in prop::collection::vec((0u8..8, 0u32..4, 0u64..0x20_0000, any::<u8>(), 0u8..4), 1..300),
        ) {
            let (mut out, _) = pair(Profile::AeadAes128Gcm);
            let mut kept: Vec<Kept> = Vec::new();
            let mut contents: HashMap<(u32, u64), Vec<u8>> = HashMap::new();
            for (op, ssrc, number, byte, padding) in ops {
                let stream = out.open(ssrc, number);
                let mut packet = vec![0; 200];
                let (ssrc, sealed) = match op {
                    // A resend of something kept, a resend of an index from nowhere, else a new packet.
                    0..2 if !kept.is_empty() => {
                        let at = usize::from(byte) % kept.len();
                        let Kept { stream, ssrc, index, header, payload, padding } = &mut kept[at];
                        let sealed = out.seal_again(*stream, *index, header, payload, *padding, &mut packet).unwrap();
                        prop_assert_eq!(sealed.index, *index);
                        (*ssrc, sealed)
                    }
                    2 if !contents.contains_key(&(ssrc, number)) => {
                        let refused = out.seal_again(stream, number, &mut header(), &[byte], padding, &mut packet);
                        prop_assert_eq!(refused, Err(SrtpError::UnknownIndex));
                        continue;
                    }
                    // No room: the index must not be lost to a packet that was half written.
                    3 => {
                        let refused = out.seal(stream, &mut header(), &[byte; 190], padding, &mut packet);
                        prop_assert_eq!(refused, Err(SrtpError::NoSpace));
                        continue;
                    }
                    _ => {
                        let (mut header, payload) = (header(), vec![byte; usize::from(byte) % 90]);
                        let sealed = out.seal(stream, &mut header, &payload, padding, &mut packet).unwrap();
                        prop_assert!(!contents.contains_key(&(ssrc, sealed.index)), "an index was used for a new packet");
                        kept.push(Kept { stream, ssrc, index: sealed.index, header, payload, padding });
                        (ssrc, sealed)
                    }
                };
                packet.truncate(sealed.len);
                let first = contents.entry((ssrc, sealed.index)).or_insert_with(|| packet.clone());
                prop_assert_eq!(first, &packet);
            }
        }
    }
}
