//! SRTP and SRTCP from a hostile sender: two receivers with the same keys get the same packets of the real one, and
//! only one of them the forgeries. Whatever those are, both go on in step: a refused packet has changed nothing.

use std::sync::LazyLock;

use portunus::proto::srtp::{Inbound, MasterKey, Outbound, Profile};
use portunus::wire::error::WireError;
use portunus::wire::reader::Reader;

/// A byte for the profile, then operations.
pub fn run(data: &[u8]) {
    let mut reader = Reader::new(data);
    let Ok(choice) = reader.u8("profile") else { return };
    let (profile, genuine) = &GENUINE[usize::from(choice) % GENUINE.len()];
    let mut attacked = receiver(*profile);
    let mut control = receiver(*profile);
    while let Ok(op) = Op::read(&mut reader) {
        match op {
            Op::Genuine(at) => {
                let packet = &genuine[usize::from(at) % genuine.len()];
                let (got, expected) = (open(&mut attacked, packet), open(&mut control, packet));
                assert_eq!(got, expected, "the forgeries before it have left no trace");
            }
            Op::Changed { at, place, xor } => {
                let mut packet = genuine[usize::from(at) % genuine.len()].clone();
                let place = usize::from(place) % packet.len();
                packet[place] ^= xor.max(1);
                assert_eq!(open(&mut attacked, &packet), None, "one changed byte is noticed");
            }
            Op::Forged(packet) => {
                // libFuzzer cannot sign, but it can copy a genuine packet out of a seed.
                if let Some(opened) = open(&mut attacked, packet) {
                    assert_eq!(open(&mut control, packet), Some(opened));
                }
            }
        }
    }
}

#[derive(Debug)]
enum Op<'a> {
    /// The real sender's packet of that number: in order or not, again or not.
    Genuine(u8),
    /// The same with one byte changed.
    Changed { at: u8, place: u8, xor: u8 },
    /// Any datagram.
    Forged(&'a [u8]),
}

impl<'a> Op<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Op<'a>, WireError> {
        Ok(match reader.u8("op")? % 3 {
            0 => Op::Genuine(reader.u8("packet")?),
            1 => Op::Changed { at: reader.u8("packet")?, place: reader.u8("place")?, xor: reader.u8("xor")? },
            _ => {
                let len = usize::from(reader.u8("length")?);
                Op::Forged(reader.take(len.min(reader.len()), "datagram")?)
            }
        })
    }
}

/// The plain bytes of a packet that is believed.
fn open(inbound: &mut Inbound, packet: &[u8]) -> Option<Vec<u8>> {
    let mut packet = packet.to_vec();
    let is_rtcp = packet.get(1).is_some_and(|second| (64..96).contains(&(second & 0x7f)));
    let len = match is_rtcp {
        true => inbound.unprotect_rtcp(&mut packet).ok()?,
        false => inbound.unprotect_rtp(&mut packet).ok()?.len,
    };
    packet.truncate(len);
    Some(packet)
}

fn receiver(profile: Profile) -> Inbound {
    Inbound::new(profile, &key(profile)).expect("the key fits")
}

fn key(profile: Profile) -> MasterKey {
    MasterKey::new(profile, &[0x17; 32][..profile.key_len()], &[0x29; 14][..profile.salt_len()]).expect("lengths fit")
}

/// For each profile what the real sender sends: two SSRCs over a rollover of their sequence numbers, and RTCP.
static GENUINE: LazyLock<Vec<(Profile, Vec<Vec<u8>>)>> =
    LazyLock::new(|| Profile::ALL.map(|profile| (profile, sealed(profile))).to_vec());

fn sealed(profile: Profile) -> Vec<Vec<u8>> {
    let mut outbound = Outbound::new(profile, &key(profile)).expect("the key fits");
    let streams = [outbound.open(0x1111, 65_533), outbound.open(0x2222, 7)];
    let mut packets = Vec::new();
    for n in 0..12_u8 {
        let mut header = [0x80, 96, 0, 0, 0, 0, 0, n, 0, 0, 0, 0];
        let mut out = [0; 64];
        let stream = streams[usize::from(n % 2)];
        let sealed = outbound.seal(stream, &mut header, &[n; 20], 0, &mut out).expect("it fits");
        packets.push(out[..sealed.len].to_vec());
    }
    for n in 0..4_u8 {
        let mut out = [0; 64];
        let len = outbound.protect_rtcp(&[0x80, 201, 0, 1, 0, 0, 0x11, n % 2], &mut out).expect("it fits");
        packets.push(out[..len].to_vec());
    }
    packets
}
