//! What a publisher sends: packets of a rhythm, sealed under its keys, each with the time of its sending in the last bytes of
//! its payload, where a subscriber finds it whatever was done to the header.

use crate::rhythm::Rhythm;
use crate::sdp::{MID, OPUS, TRANSPORT_CC, VP8};
use crate::socket;
use portunus::proto::srtp::{Outbound, OutboundStream};
use portunus::wire::rtp::{Header, HeaderWriter};
use std::net::UdpSocket;

/// One m-line that is sent.
pub struct Track {
    pub video: bool,
    pub ssrc: u32,
    mid: u8,
    stream: Option<OutboundStream>,
    picture: u16,
    transport_sequence: u16,
    /// Packets and payload bytes since the beginning.
    pub sent: u64,
    pub octets: u64,
    pub timestamp: u32,
    /// A subscriber has asked.
    pub keyframe_due: bool,
}

/// The end of every payload: eight bytes that say so, and the time.
const MARK: [u8; 8] = *b"portload";
const STAMP_BYTES: usize = 16;
/// A descriptor with a picture id of 15 bits (RFC 7741 §4.2): S is set apart.
const DESCRIPTOR: [u8; 2] = [0x80, 0x80];
/// The head of a keyframe, 640x480 (RFC 7741 §4.3).
const KEYFRAME: [u8; 10] = [0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01];
/// Fixed header, and a block with MID and transport-wide sequence number: 4 + 2 + 3 bytes and padding to 12.
const HEADER_BYTES: usize = 12 + 12;

impl Track {
    /// The m-line of this index.
    pub fn new(video: bool, ssrc: u32, index: usize) -> Track {
        let mid = b'0' + u8::try_from(index).expect("few m-lines");
        Track {
            video,
            ssrc,
            mid,
            stream: None,
            picture: 0,
            transport_sequence: 0,
            sent: 0,
            octets: 0,
            timestamp: 0,
            keyframe_due: true,
        }
    }

    /// Sends `count` packets, which are those from `index` on of a rhythm. `now_ns` is monotonic and makes the RTP
    /// timestamp; `stamp_ns` goes into the payload. `arena` is scratch.
    #[expect(clippy::too_many_arguments, reason = "one call, and all of it changes from packet to packet")]
    pub fn send(
        &mut self,
        socket: &UdpSocket,
        keys: &mut Outbound,
        rhythm: &Rhythm,
        (index, count): (u32, u32),
        now_ns: u64,
        stamp_ns: u64,
        arena: &mut Vec<u8>,
    ) {
        let (payload_type, khz) = if self.video { (VP8, 90) } else { (OPUS, 48) };
        if rhythm.bounds(index).0 {
            self.timestamp = (now_ns / 1000 * khz / 1000) as u32;
            self.picture = self.picture.wrapping_add(1);
        }
        let stream = *self.stream.get_or_insert_with(|| keys.open(self.ssrc, 100));
        // Publishers who began together do not send the same sizes at the same time.
        let size = rhythm.size(index, self.sent + u64::from(self.ssrc) * u64::from(rhythm.packets()));
        let mut payload = [0x5a; 1500];
        let payload = &mut payload[..size - HEADER_BYTES];
        arena.resize(count as usize * 1500, 0);
        let (mut len, mut segment) = (0, 0);
        for n in index..index + count {
            let (first, last) = rhythm.bounds(n);
            self.fill(payload, first, stamp_ns);
            let header = Header {
                marker: self.video && last,
                payload_type,
                sequence: 0,
                timestamp: self.timestamp,
                ssrc: self.ssrc,
            };
            let mut head = [0; HEADER_BYTES];
            let mut writer = HeaderWriter::new(&mut head, &header).expect("it fits");
            writer.push(MID, &[self.mid]).expect("it fits");
            writer.push(TRANSPORT_CC, &self.transport_sequence.to_be_bytes()).expect("it fits");
            let head_len = writer.finish().expect("it fits");
            let sealed = keys.seal(stream, &mut head[..head_len], payload, 0, &mut arena[len..]).expect("it fits");
            len += sealed.len;
            segment = sealed.len;
            self.transport_sequence = self.transport_sequence.wrapping_add(1);
            self.sent += 1;
            self.octets += payload.len() as u64;
        }
        // A full socket is a loss like any other and shows as one.
        let _ = socket::send_segments(socket, &arena[..len], segment);
    }

    fn fill(&mut self, payload: &mut [u8], begins: bool, stamp_ns: u64) {
        if self.video {
            let [high, low] = (self.picture | 0x8000).to_be_bytes();
            payload[..4].copy_from_slice(&[DESCRIPTOR[0] | if begins { 0x10 } else { 0 }, DESCRIPTOR[1], high, low]);
            if begins && std::mem::take(&mut self.keyframe_due) {
                payload[4..14].copy_from_slice(&KEYFRAME);
            } else {
                payload[4..14].copy_from_slice(&[0x01; 10]); // P: an interframe
            }
        }
        let at = payload.len() - STAMP_BYTES;
        payload[at..at + 8].copy_from_slice(&MARK);
        payload[at + 8..].copy_from_slice(&stamp_ns.to_be_bytes());
    }
}

/// When a payload was sent, in nanoseconds since the Unix epoch; none when it is not one of ours.
pub fn stamp(payload: &[u8]) -> Option<u64> {
    let (_, stamp) = payload.split_last_chunk::<STAMP_BYTES>()?;
    let (mark, time) = stamp.split_first_chunk::<8>()?;
    (*mark == MARK).then(|| u64::from_be_bytes(*time.first_chunk().expect("eight of sixteen bytes")))
}
