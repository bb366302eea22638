//! The receiving half of one association: opens SRTP and SRTCP in place, guesses rollover counters and refuses replays
//! (RFC 3711 §3.3, §3.4). A packet that does not authenticate changes nothing.

use super::header::{ENCRYPTED, rtcp_ssrc, rtp_header_len, rtp_ssrc, sequence};
use super::sources::Sources;
use super::transform::Transform;
use super::{MasterKey, Profile, SrtpError};

/// Keys and replay state for what a peer sends.
pub struct Inbound {
    profile: Profile,
    rtp: Transform,
    rtcp: Transform,
    rtp_sources: Sources,
    rtcp_sources: Sources,
}

/// An opened RTP packet, which lies at the front of the buffer that was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Bytes of header, payload and padding.
    pub len: usize,
    /// The packet index: rollover counter and sequence number, 48 bits (RFC 3711 §3.3.1).
    pub index: u64,
}

impl Inbound {
    /// Derives the session keys of the peer's direction. A key of another profile is [`SrtpError::KeyLength`].
    pub fn new(profile: Profile, master: &MasterKey) -> Result<Inbound, SrtpError> {
        Ok(Inbound {
            profile,
            rtp: Transform::rtp(profile, master)?,
            rtcp: Transform::rtcp(profile, master)?,
            rtp_sources: Sources::default(),
            rtcp_sources: Sources::default(),
        })
    }

    /// Opens an SRTP packet in place. Header, CSRCs and extension are authenticated and stay where they are.
    ///
    /// Errors: `TooShort`, `Malformed`, `Replay`, `Auth`, `TooManyStreams`, `Exhausted`.
    pub fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<Opened, SrtpError> {
        let header_len = rtp_header_len(packet)?;
        let (ssrc, sequence) = (rtp_ssrc(packet), sequence(packet));
        let place = self.rtp_sources.find(ssrc)?;
        let index = self.rtp_sources.estimate(place, sequence)?;
        self.rtp_sources.check(place, index)?;
        let len = self.rtp.open_rtp(ssrc, index, packet, header_len)?;
        self.rtp_sources.accept(place, ssrc, index);
        Ok(Opened { len, index })
    }

    /// Opens an SRTCP packet in place and returns the length of the compound RTCP packet. A packet whose E flag says
    /// that it is not encrypted is authenticated all the same.
    ///
    /// Errors: `TooShort`, `Malformed`, `Replay`, `Auth`, `TooManyStreams`.
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let ssrc = rtcp_ssrc(packet)?;
        let word = self.rtcp.rtcp_word(self.profile, packet)?;
        let index = u64::from(word & !ENCRYPTED);
        let place = self.rtcp_sources.find(ssrc)?;
        self.rtcp_sources.check(place, index)?;
        let len = self.rtcp.open_rtcp(ssrc, word, packet)?;
        self.rtcp_sources.accept(place, ssrc, index);
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::super::sources::{Place, RETIRED_MAX};
    use super::super::{Outbound, SOURCES_MAX};
    use super::*;
    use proptest::prelude::*;

    fn master(profile: Profile) -> MasterKey {
        MasterKey::new(profile, &vec![7; profile.key_len()], &vec![9; profile.salt_len()]).unwrap()
    }

    fn pair(profile: Profile) -> (Outbound, Inbound) {
        (Outbound::new(profile, &master(profile)).unwrap(), Inbound::new(profile, &master(profile)).unwrap())
    }

    fn header() -> [u8; 12] {
        [0x80, 96, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0]
    }

    /// `count` packets of one SSRC that start at index `first`.
    fn sealed(out: &mut Outbound, ssrc: u32, first: u64, count: usize) -> Vec<Vec<u8>> {
        let stream = out.open(ssrc, first);
        let mut seal = || {
            let mut packet = vec![0; 100];
            let len = out.seal(stream, &mut header(), b"payload", 0, &mut packet).unwrap().len;
            packet.truncate(len);
            packet
        };
        (0..count).map(|_| seal()).collect()
    }

    fn open(inbound: &mut Inbound, packet: &[u8]) -> Result<u64, SrtpError> {
        inbound.unprotect_rtp(&mut packet.to_vec()).map(|opened| opened.index)
    }

    #[test]
    fn a_replayed_packet_is_refused() {
        for profile in Profile::ALL {
            let (mut out, mut inbound) = pair(profile);
            let packets = sealed(&mut out, 5, 100, 2);
            assert_eq!(open(&mut inbound, &packets[0]), Ok(100));
            assert_eq!(open(&mut inbound, &packets[0]), Err(SrtpError::Replay));
            assert_eq!(open(&mut inbound, &packets[1]), Ok(101));
            assert_eq!(open(&mut inbound, &packets[0]), Err(SrtpError::Replay));
        }
    }

    #[test]
    fn packets_reordered_over_a_rollover_are_all_opened() {
        for profile in Profile::ALL {
            let (mut out, mut inbound) = pair(profile);
            let packets = sealed(&mut out, 5, 0xfffd, 6);
            let order = [0, 3, 1, 5, 2, 4];
            let indices: Vec<_> = order.iter().map(|&at| open(&mut inbound, &packets[at])).collect();
            assert_eq!(indices, order.map(|at| Ok(0xfffd + at as u64)));
        }
    }

    #[test]
    fn a_forged_packet_changes_no_state() {
        for profile in Profile::ALL {
            let (mut out, mut inbound) = pair(profile);
            let packets = sealed(&mut out, 5, 0xfff0, 40);
            assert_eq!(open(&mut inbound, &packets[0]), Ok(0xfff0));
            // Believed, these two would roll the counter over and mark an index as seen.
            let mut rolled = packets[20].clone();
            *rolled.last_mut().unwrap() ^= 1;
            assert_eq!(open(&mut inbound, &rolled), Err(SrtpError::Auth));
            let mut marked = packets[1].clone();
            marked[12] ^= 1;
            assert_eq!(open(&mut inbound, &marked), Err(SrtpError::Auth));
            assert_eq!(open(&mut inbound, &packets[1]), Ok(0xfff1));
            // Nor does a stranger's SSRC take a place.
            let mut stranger = packets[2].clone();
            stranger[11] ^= 1;
            for _ in 0..2 * SOURCES_MAX {
                assert_eq!(open(&mut inbound, &stranger), Err(SrtpError::Auth));
            }
            assert!(matches!(inbound.rtp_sources.find(4), Ok(Place::New)));
        }
    }

    #[test]
    fn the_header_is_authenticated() {
        for profile in Profile::ALL {
            let (mut out, mut inbound) = pair(profile);
            let packet = sealed(&mut out, 5, 100, 1).remove(0);
            for at in 1..12 {
                let mut forged = packet.clone();
                forged[at] ^= 0x10;
                assert_eq!(open(&mut inbound, &forged), Err(SrtpError::Auth), "byte {at}");
            }
        }
    }

    #[test]
    fn the_table_of_ssrcs_is_bounded_and_known_ones_go_on() {
        let (mut out, mut inbound) = pair(Profile::AeadAes128Gcm);
        for ssrc in 0..(SOURCES_MAX + RETIRED_MAX) as u32 {
            open(&mut inbound, &sealed(&mut out, ssrc, 1, 1)[0]).unwrap();
        }
        let more = sealed(&mut out, 999_999, 1, 1);
        assert_eq!(open(&mut inbound, &more[0]), Err(SrtpError::TooManyStreams));
        for ssrc in [3, SOURCES_MAX + RETIRED_MAX - 1].map(|ssrc| ssrc as u32) {
            assert_eq!(open(&mut inbound, &sealed(&mut out, ssrc, 2, 1)[0]), Ok(2), "{ssrc}");
        }
    }

    #[test]
    fn of_a_source_that_had_to_make_room_nothing_can_be_replayed_and_it_may_go_on() {
        for profile in Profile::ALL {
            let (mut out, mut inbound) = pair(profile);
            // Over a rollover: a source that was forgotten whole would begin again with its first packets.
            let packets = sealed(&mut out, 7, 0xfff0, 40);
            let (old, new) = packets.split_at(30);
            assert!(old.iter().all(|packet| open(&mut inbound, packet).is_ok()));
            for ssrc in 1000..1000 + SOURCES_MAX as u32 {
                open(&mut inbound, &sealed(&mut out, ssrc, 1, 1)[0]).unwrap();
            }
            for packet in old {
                assert_eq!(open(&mut inbound, packet), Err(SrtpError::Replay));
            }
            let mut forged = new[0].clone();
            *forged.last_mut().unwrap() ^= 1;
            assert_eq!(open(&mut inbound, &forged), Err(SrtpError::Auth), "and it changes nothing");
            let indices: Vec<_> = new.iter().map(|packet| open(&mut inbound, packet)).collect();
            assert_eq!(indices, (0xfff0 + 30..0xfff0 + 40).map(Ok).collect::<Vec<_>>());
            for packet in &packets {
                assert_eq!(open(&mut inbound, packet), Err(SrtpError::Replay));
            }
        }
    }

    #[test]
    fn srtcp_has_an_index_per_sender_and_refuses_replays_and_forgeries() {
        for profile in Profile::ALL {
            let (mut out, mut inbound) = pair(profile);
            let reports = [[0x80, 201, 0, 1, 0, 0, 0, 1], [0x80, 201, 0, 1, 0, 0, 0, 2]];
            let mut sent = Vec::new();
            for round in 0..3 {
                for report in &reports {
                    let mut packet = vec![0; 8 + profile.rtcp_overhead()];
                    assert_eq!(out.protect_rtcp(report, &mut packet), Ok(packet.len()));
                    let word = inbound.rtcp.rtcp_word(profile, &packet).unwrap();
                    assert_eq!(word, ENCRYPTED | round);
                    sent.push((packet, report));
                }
            }
            for (packet, report) in sent.iter().rev() {
                for at in 0..packet.len() {
                    let mut forged = packet.clone();
                    forged[at] ^= 1;
                    inbound.unprotect_rtcp(&mut forged).unwrap_err();
                }
                let mut opened = packet.clone();
                assert_eq!(inbound.unprotect_rtcp(&mut opened), Ok(8));
                assert_eq!(&opened[..8], *report);
                assert_eq!(inbound.unprotect_rtcp(&mut packet.clone()), Err(SrtpError::Replay));
            }
        }
    }

    #[test]
    fn a_key_of_another_profile_is_refused() {
        let key = master(Profile::AeadAes128Gcm);
        assert_eq!(Inbound::new(Profile::AesCm128HmacSha1_80, &key).err(), Some(SrtpError::KeyLength));
    }

    proptest! {
        #[test]
        fn no_bytes_from_outside_cause_a_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..80), first in 0x80u8..0xc0) {
            for profile in Profile::ALL {
                let (_, mut inbound) = pair(profile);
                if let Some(byte) = bytes.first_mut() {
                    *byte = first;
                }
                prop_assert!(inbound.unprotect_rtp(&mut bytes.clone()).is_err());
                prop_assert!(inbound.unprotect_rtcp(&mut bytes.clone()).is_err());
            }
        }
    }
}
