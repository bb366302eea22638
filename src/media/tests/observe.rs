//! What event handlers are let know of peer connections and media. That nothing is when nobody asks, the simulator proves.

use super::repair::Call;
use super::*;
use crate::control::command::Teardown;
use crate::control::observation::{Flow, LineStatistics, RoomObservation};

/// The steps of one handle's peer connection, in short.
fn steps(world: &World, handle: u64) -> Vec<String> {
    let own = world.observed.iter().filter(|(of, _)| *of == handle);
    own.filter_map(|(_, what)| match what {
        Observation::Ice(state) => Some(state.text().to_owned()),
        Observation::Dtls(state) => Some(format!("dtls {}", state.text())),
        Observation::LocalCandidate(candidate) => Some(candidate.to_string()),
        Observation::SelectedPair { local, remote } => Some(format!("{local} {remote}")),
        Observation::Room(..) | Observation::SourcesExhausted { .. } | Observation::Statistics(_) => None,
    })
    .collect()
}

#[test]
fn a_peer_connection_is_observed_step_by_step_until_it_is_lost() {
    let mut call = Call::new(1, true, &[true]);
    let candidate = "candidate:1 1 udp 2130706431 127.0.0.1 20000 typ host";
    let [publisher, subscriber] = [0, 1].map(|member| format!("127.0.0.1:20000 {}", path(member).remote));
    let up = |pair: String| {
        ["gathering", candidate, "connecting", "connected", &pair, "dtls trying", "dtls connected", "ready"]
            .map(String::from)
    };
    assert_eq!(steps(&call.world, 1), up(publisher));
    assert_eq!(steps(&call.world, 2), up(subscriber.clone()));
    call.world.restart_ice(1);
    assert_eq!(steps(&call.world, 2), up(subscriber), "the same path on");

    call.world.observed.clear();
    call.world.now.mono = call.world.now.mono + Duration::from_secs(100_001);
    call.run(10);
    assert_eq!(steps(&call.world, 1), ["failed"]);
    assert_eq!(steps(&call.world, 2), [""; 0], "nothing was sent to the subscriber that it could have answered");
}

#[test]
fn statistics_come_once_in_a_period_and_add_up() {
    let mut call = Call::new(2, true, &[true]);
    call.world.observed.clear();
    call.viewers[0].report(&mut call.world, 3);
    call.frames(180);
    let of = |handle: u64| -> Vec<&LineStatistics> {
        let own = call.world.observed.iter().filter(|(of, _)| *of == handle);
        let lines = own.filter_map(|(_, what)| match what {
            Observation::Statistics(lines) => lines.iter().find(|line| line.kind == crate::wire::sdp::MediaKind::Video),
            _ => None,
        });
        lines.collect()
    };
    let (sent, received) = (of(1), of(2));
    assert!((2..=3).contains(&sent.len()) && (2..=3).contains(&received.len()), "six seconds, some late");
    let (published, subscribed) = (sent.last().unwrap(), received.last().unwrap());
    assert_eq!((&*published.mid, published.mindex, published.clock_rate), ("1", 1, 90_000));
    assert_eq!((&*subscribed.mid, subscribed.mindex, subscribed.codec), ("1", 1, published.codec));
    assert_eq!((published.sent, subscribed.received), (Flow::default(), Flow::default()));
    for flow in [published.received, subscribed.sent] {
        assert!((900..1500).contains(&flow.packets), "{flow:?}");
        // Five packets of 400 bytes in eight, three of 399.
        assert!((flow.octets..flow.octets + flow.packets).contains(&(flow.packets * 400)), "{flow:?}");
        let rate = 8 * 400 * 1000 / 33;
        assert!((rate * 9 / 10..rate * 11 / 10).contains(&flow.octets_per_second), "{flow:?}");
    }
    assert_eq!((published.received.lost, subscribed.sent.lost), (0, 3));

    let told = published.received.packets;
    call.frames(3);
    let teardown = Command::Teardown { room: call.world.room.clone(), handle: handle(0), kind: Teardown::Hangup };
    call.world.observed.clear();
    call.world.ask(teardown);
    let last = call.world.observed.iter().find_map(|(of, what)| match what {
        Observation::Statistics(lines) if *of == 1 => lines.last(),
        _ => None,
    });
    assert!(last.unwrap().received.packets >= told + 3 * 8, "the end is told before its time");
}

#[test]
fn a_rooms_members_are_observed_on_their_handles() {
    let mut call = Call::new(3, true, &[true]);
    let teardown = Command::Teardown { room: call.world.room.clone(), handle: handle(0), kind: Teardown::Detach };
    call.world.ask(teardown);
    let room = call.world.room.clone();
    let told = call.world.observed.iter().filter_map(|(of, what)| match what {
        Observation::Room(of_room, what) if *of_room == room => Some((*of, &**what)),
        _ => None,
    });
    let told: Vec<_> = told.collect();
    assert!(
        matches!(
            told[..],
            [
                (1, RoomObservation::Joined { .. }),
                (1, RoomObservation::Published(_)),
                (2, RoomObservation::Subscribing { .. }),
                (2, RoomObservation::Subscribed),
                (1, RoomObservation::Unpublished(_)),
                (1, RoomObservation::Leaving(_))
            ]
        ),
        "{told:?}"
    );
}
