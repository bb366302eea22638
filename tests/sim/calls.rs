//! Calls of str0m peers over real DTLS. They do not come out the same every time, because the library draws its own
//! randomness; what they have to keep is the same.

use std::time::Duration;

use portunus::media::turn::HandshakeFactory;
use portunus::proto::dtls::{Certificate, Context, KeyKind};
use portunus::wire::sdp::MediaKind;

use crate::assert_talked;
use crate::browser::{Heard, StrBrowser};
use crate::checks::Tally;
use crate::clock::Clock;
use crate::faults::Weather;
use crate::heard;
use crate::network::Prng;
use crate::seeds::{Seeds, is_alone};
use crate::workload::{AUDIO_VIDEO, Played};
use crate::world::{self, World};

fn dtls(_: u8) -> Box<dyn HandshakeFactory + Send> {
    let certificate = Certificate::generate(Clock::new().now(), KeyKind::Ecdsa).unwrap();
    Box::new(Context::new(&certificate, "SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80").unwrap())
}

#[test]
fn str0m_publishes_and_str0m_receives() {
    let mut world = World::new(1, 1, Weather::FAIR, dtls);
    world.create_room(1234);
    let address = world.new_address();
    let publisher = world.join(1234, Box::new(StrBrowser::new(&world.clock, address)));
    world.publish(publisher, &AUDIO_VIDEO, false);
    world.run_until("publisher up", Duration::from_secs(5), |world| world.clients[&publisher].up);
    world.run_for(Duration::from_secs(2));
    let address = world.new_address();
    let subscriber = world.subscribe(1234, &[publisher], Box::new(StrBrowser::new(&world.clock, address))).unwrap();
    world.run_until("subscriber up", Duration::from_secs(5), |world| world.clients[&subscriber].up);
    world.run_for(Duration::from_secs(8));
    assert_talked(&world, publisher, subscriber);
    world.end();
}

/// A publisher and a subscriber of str0m with real DTLS, in one weather; `during` happens while they talk.
fn str0m_call(seed: u64, weather: Weather, during: impl FnOnce(&mut World, u64, u64)) {
    let mut world = World::new(seed, 2, weather, dtls);
    world.create_room(seed);
    let address = world.new_address();
    let publisher = world.join(seed, Box::new(StrBrowser::new(&world.clock, address)));
    world.publish(publisher, &AUDIO_VIDEO, false);
    world.run_until("publisher up", Duration::from_secs(10), |world| world.clients[&publisher].up);
    let address = world.new_address();
    let subscriber = world.subscribe(seed, &[publisher], Box::new(StrBrowser::new(&world.clock, address))).unwrap();
    world.run_until("subscriber up", Duration::from_secs(10), |world| world.clients[&subscriber].up);
    world.run_for(Duration::from_secs(3));
    during(&mut world, publisher, subscriber);
    world.run_for(Duration::from_secs(5));
    for mid in ["0", "1"] {
        let (expected, received) = world.ledger.tally(subscriber, mid);
        assert!(received > expected / 2, "{mid}: {received} of {expected}");
    }
    world.end();
}

#[test]
fn str0m_talks_through_bad_weather() {
    str0m_call(11, Weather::FOUL, |world, publisher, subscriber| {
        world.run_for(Duration::from_secs(10));
        assert!(heard(world, publisher, |heard| matches!(heard, Heard::KeyframeWanted { .. })) > 0);
        assert!(world.ledger.reports(subscriber, "1") > 5);
    });
}

#[test]
fn str0m_restarts_ice_on_both_sides() {
    str0m_call(12, Weather::FAIR, |world, publisher, subscriber| {
        world.publish(publisher, &AUDIO_VIDEO, true);
        world.run_for(Duration::from_secs(3));
        world.restart_subscriber(subscriber);
        world.run_for(Duration::from_secs(3));
    });
}

#[test]
fn str0m_survives_another_address_and_changes_its_offer() {
    str0m_call(13, Weather::FAIR, |world, publisher, subscriber| {
        world.rebind(subscriber);
        world.run_for(Duration::from_secs(6));
        world.rebind(publisher);
        world.run_for(Duration::from_secs(6));
        world.publish(publisher, &[(MediaKind::Audio, false), (MediaKind::Video, true)], false);
        world.run_for(Duration::from_secs(3));
    });
}

#[test]
fn str0m_pauses_and_goes_and_is_missed() {
    str0m_call(14, Weather::FAIR, |world, publisher, subscriber| {
        world.pause(subscriber);
        world.run_for(Duration::from_secs(2));
        world.resume(subscriber);
        world.run_for(Duration::from_secs(2));
        world.want(subscriber, "1", false);
        world.run_for(Duration::from_secs(1));
        world.want(subscriber, "1", true);
        world.run_for(Duration::from_secs(2));
        let address = world.new_address();
        let second = world.subscribe(14, &[publisher], Box::new(StrBrowser::new(&world.clock, address))).unwrap();
        world.run_for(Duration::from_secs(3));
        world.close(second);
        world.run_for(Duration::from_secs(1));
        assert!(!world.clients[&second].has_peer, "close_notify is heard");
        world.vanish(publisher);
        world.run_for(world::PEER_TIMEOUT + Duration::from_secs(3));
        assert!(!world.clients[&publisher].has_peer, "silence is heard");
    });
}

#[test]
fn twenty_seeds_of_str0m_over_real_dtls_keep_every_promise() {
    let played = Seeds { word: "str0m", count: 20 }.play(play);
    let mut tally = Tally::default();
    played.iter().for_each(|played| tally.add(&played.tally));
    let (recovered, resent) = played.iter().fold((0, 0), |sum, of| (sum.0 + of.repaired.0, sum.1 + of.repaired.1));
    println!("{recovered} recovered, {resent} resent, {tally:?}");
    if !is_alone() {
        let each = played.len();
        assert!(tally.repaired_up > each && recovered > each as u64, "losses of publishers are repaired");
        assert!(tally.late_down > each && resent > each as u64, "and losses of subscribers");
    }
}

/// Somebody publishes, three watch, and something befalls each of them in its time.
fn play(seed: u64) -> Played {
    let mut prng = Prng::new(seed);
    let least = prng.between(2_000, 25_000);
    let weather = Weather {
        delay_us: (least, least + prng.between(0, 10_000)),
        loss: prng.between(5, 20),
        duplicate: prng.between(0, 10),
        reorder: prng.between(0, 20),
        rate: None,
    };
    let mut world = World::new(prng.next(), 2, weather, dtls);
    world.create_room(seed);
    let publisher = world.new_address();
    let publisher = world.join(seed, Box::new(StrBrowser::new(&world.clock, publisher)));
    world.publish(publisher, &AUDIO_VIDEO, false);
    world.run_until("publisher up", Duration::from_secs(10), |world| world.clients[&publisher].up);
    let mut viewers = Vec::new();
    for _ in 0..2 {
        let address = world.new_address();
        let browser = Box::new(StrBrowser::new(&world.clock, address));
        viewers.push(world.subscribe(seed, &[publisher], browser).expect("the feed is live"));
    }
    if prng.per_mille(300) {
        world.live_in(viewers[0], Weather { rate: Some(prng.between(500_000, 1_000_000)), ..weather });
    }
    world.run_for(Duration::from_secs(3));
    for _ in 0..4 {
        let viewer = *prng.pick(&viewers).expect("there are two");
        match prng.below(6) {
            0 => world.rebind(viewer),
            1 => world.rebind(publisher),
            2 if world.clients[&viewer].up => {
                world.pause(viewer);
                world.run_for(Duration::from_millis(prng.between(10, 700)));
                world.resume(viewer);
            }
            3 if world.clients[&viewer].up => {
                world.want(viewer, "1", false);
                world.run_for(Duration::from_millis(prng.between(10, 700)));
                world.want(viewer, "1", true);
            }
            4 => world.set_clock(prng.between(0, 240_000_000) as i64 - 120_000_000),
            5 => world.freeze(Duration::from_millis(prng.between(20, 300))),
            _ => {}
        }
        world.run_for(Duration::from_millis(prng.between(500, 2000)));
    }
    world.run_for(Duration::from_secs(4));
    for viewer in viewers {
        let (expected, received) = world.ledger.tally(viewer, "1");
        assert!(received > expected / 2, "{viewer}: {received} of {expected}");
    }
    world.end();
    world.played()
}
