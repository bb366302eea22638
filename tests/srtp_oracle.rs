//! Our SRTP and libsrtp2 open what the other seals and refuse what was tampered with or replayed, over rollovers and
//! reordering. libsrtp2 is the system's; it is linked into tests only.

use portunus::proto::srtp::{Inbound, MasterKey, Outbound, Profile};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use srtp::{CryptoPolicy, Session, StreamPolicy};
use std::collections::HashMap;

/// How many packets each SSRC sends: two rollovers, one, none.
const TRAFFIC: [(u32, u64); 3] = [(0x1111_1111, 100_000), (0x2222_2222, 34_000), (0x3333_3333, 2_000)];
/// Packets that change places with each other.
const REORDERED: usize = 48;
/// One packet in so many is tampered with, and one in so many comes twice.
const ONE_IN: u32 = 8;

#[test]
fn aead_aes_128_gcm_agrees_with_libsrtp2() {
    agree(Profile::AeadAes128Gcm, 1);
}

#[test]
fn aead_aes_256_gcm_agrees_with_libsrtp2() {
    agree(Profile::AeadAes256Gcm, 2);
}

#[test]
fn aes_cm_128_hmac_sha1_80_agrees_with_libsrtp2() {
    agree(Profile::AesCm128HmacSha1_80, 3);
}

#[test]
fn aes_cm_128_hmac_sha1_32_agrees_with_libsrtp2() {
    agree(Profile::AesCm128HmacSha1_32, 4);
}

fn agree(profile: Profile, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut bytes = vec![0; profile.key_len() + profile.salt_len()];
    rng.fill_bytes(&mut bytes);
    let master = MasterKey::new(profile, &bytes[..profile.key_len()], &bytes[profile.key_len()..]).unwrap();
    let policy = policy(profile, &bytes);

    let mut ours = Outbound::new(profile, &master).unwrap();
    let mut theirs = Session::with_inbound_template(policy).unwrap();
    let mut first = HashMap::new();
    let seal = |rng: &mut ChaCha8Rng, ssrc: u32| {
        let first = *first.entry(ssrc).or_insert_with(|| u64::from(rng.next_u32() >> 17));
        let stream = ours.open(ssrc, first);
        let (mut header, payload, padding) = (header(rng), payload(rng), (rng.next_u32() % 5) as u8);
        let mut sealed = vec![0; 1600];
        let len = ours.seal(stream, &mut header, &payload, padding, &mut sealed).unwrap().len;
        sealed.truncate(len);
        let mut zeros = vec![0; usize::from(padding)];
        zeros.iter_mut().next_back().into_iter().for_each(|last| *last = padding);
        Sent { sealed, plain: [header, payload, zeros].concat(), index: None }
    };
    deliver(&mut rng, seal, |packet| {
        theirs.unprotect(packet).ok()?;
        Some((std::mem::take(packet), None))
    });

    let mut theirs = Session::with_outbound_template(policy).unwrap();
    let mut ours = Inbound::new(profile, &master).unwrap();
    let mut next = HashMap::new();
    let seal = |rng: &mut ChaCha8Rng, ssrc: u32| {
        let index = next.entry(ssrc).or_insert_with(|| u64::from(rng.next_u32() >> 17));
        let mut header = header(rng);
        header[2..4].copy_from_slice(&index.to_be_bytes()[6..]);
        header[8..12].copy_from_slice(&ssrc.to_be_bytes());
        let plain = [header, payload(rng)].concat();
        let mut sealed = plain.clone();
        theirs.protect(&mut sealed).unwrap();
        *index += 1;
        Sent { sealed, plain, index: Some(*index - 1) }
    };
    deliver(&mut rng, seal, |packet| {
        let opened = ours.unprotect_rtp(packet).ok()?;
        Some((packet[..opened.len].to_vec(), Some(opened.index)))
    });

    agree_on_rtcp(&mut rng, profile, &master, policy);
}

fn agree_on_rtcp(rng: &mut ChaCha8Rng, profile: Profile, master: &MasterKey, policy: StreamPolicy<'_>) {
    let mut ours = Outbound::new(profile, master).unwrap();
    let mut theirs = Session::with_inbound_template(policy).unwrap();
    let seal = |rng: &mut ChaCha8Rng, ssrc: u32| {
        let plain = report(rng, ssrc);
        let mut sealed = vec![0; plain.len() + profile.rtcp_overhead()];
        ours.protect_rtcp(&plain, &mut sealed).unwrap();
        Sent { sealed, plain, index: None }
    };
    deliver(rng, seal, |packet| {
        theirs.unprotect_rtcp(packet).ok()?;
        Some((std::mem::take(packet), None))
    });

    let mut theirs = Session::with_outbound_template(policy).unwrap();
    let mut ours = Inbound::new(profile, master).unwrap();
    let seal = |rng: &mut ChaCha8Rng, ssrc: u32| {
        let plain = report(rng, ssrc);
        let mut sealed = plain.clone();
        theirs.protect_rtcp(&mut sealed).unwrap();
        Sent { sealed, plain, index: None }
    };
    deliver(rng, seal, |packet| {
        let len = ours.unprotect_rtcp(packet).ok()?;
        Some((packet[..len].to_vec(), None))
    });
}

struct Sent {
    sealed: Vec<u8>,
    plain: Vec<u8>,
    index: Option<u64>,
}

/// Sends the traffic of all SSRCs, interleaved, through a network that reorders, forges and repeats.
fn deliver(
    rng: &mut ChaCha8Rng,
    mut seal: impl FnMut(&mut ChaCha8Rng, u32) -> Sent,
    mut open: impl FnMut(&mut Vec<u8>) -> Option<(Vec<u8>, Option<u64>)>,
) {
    let mut left = TRAFFIC;
    while left.iter().any(|&(_, count)| count > 0) {
        let mut batch = Vec::new();
        while batch.len() < REORDERED && left.iter().any(|&(_, count)| count > 0) {
            for (ssrc, count) in left.iter_mut().filter(|(_, count)| *count > 0) {
                batch.push(seal(rng, *ssrc));
                *count -= 1;
            }
        }
        for at in (1..batch.len()).rev() {
            batch.swap(at, rng.next_u32() as usize % (at + 1));
        }
        for sent in &batch {
            if rng.next_u32().is_multiple_of(ONE_IN) {
                let mut forged = sent.sealed.clone();
                let at = rng.next_u32() as usize % forged.len();
                forged[at] ^= 1 << (rng.next_u32() % 8);
                assert!(open(&mut forged).is_none(), "a forgery of byte {at} was opened");
            }
            let opened = open(&mut sent.sealed.clone()).expect("a genuine packet was refused");
            assert_eq!(opened, (sent.plain.clone(), sent.index));
            if rng.next_u32().is_multiple_of(ONE_IN) {
                assert!(open(&mut sent.sealed.clone()).is_none(), "a replay was opened");
            }
        }
    }
}

/// A header with up to three CSRCs and half the time an extension; sequence and SSRC are left to whoever seals.
fn header(rng: &mut ChaCha8Rng) -> Vec<u8> {
    let (csrcs, words) = (rng.next_u32() % 4, rng.next_u32() % 4);
    let mut header = vec![0; 12 + 4 * csrcs as usize];
    rng.fill_bytes(&mut header);
    header[0] = 0x80 | csrcs as u8;
    if rng.next_u32().is_multiple_of(2) {
        header[0] |= 0x10;
        header.extend([0xbe, 0xde, 0, words as u8]);
        header.extend((0..words).flat_map(|_| rng.next_u32().to_be_bytes()));
    }
    header
}

/// Mostly small, so that a hundred thousand packets take seconds.
fn payload(rng: &mut ChaCha8Rng) -> Vec<u8> {
    let most = if rng.next_u32().is_multiple_of(16) { 1200 } else { 60 };
    let mut payload = vec![0; rng.next_u32() as usize % most];
    rng.fill_bytes(&mut payload);
    payload
}

/// A receiver report with some report blocks.
fn report(rng: &mut ChaCha8Rng, ssrc: u32) -> Vec<u8> {
    let blocks = rng.next_u32() % 4;
    let mut report = vec![0; 8 + 24 * blocks as usize];
    rng.fill_bytes(&mut report);
    report[..4].copy_from_slice(&[0x80 | blocks as u8, 201, 0, 1 + 6 * blocks as u8]);
    report[4..8].copy_from_slice(&ssrc.to_be_bytes());
    report
}

fn policy(profile: Profile, key: &[u8]) -> StreamPolicy<'_> {
    let rtcp = CryptoPolicy::aes_cm_128_hmac_sha1_80();
    let (rtp, rtcp) = match profile {
        Profile::AeadAes128Gcm => (CryptoPolicy::aes_gcm_128_16_auth(), CryptoPolicy::aes_gcm_128_16_auth()),
        Profile::AeadAes256Gcm => (CryptoPolicy::aes_gcm_256_16_auth(), CryptoPolicy::aes_gcm_256_16_auth()),
        Profile::AesCm128HmacSha1_80 => (rtcp, rtcp),
        Profile::AesCm128HmacSha1_32 => (CryptoPolicy::aes_cm_128_hmac_sha1_32(), rtcp),
    };
    StreamPolicy { rtp, rtcp, key, window_size: 1024, ..StreamPolicy::default() }
}
