//! Two thousand people come and go by every door there is, and then again as many: the server holds afterwards what it
//! held before, and the second time costs no memory.

use crate::alone;
use crate::call::{Host, Publisher, SOON, Subscriber};
use crate::client::Client;
use crate::clock::wait_for;
use crate::crew::Crew;
use crate::media::Speech;
use crate::peer::{Order, Peer};
use crate::server::Server;
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;
use tungstenite::Message;

/// People of one round: so many parties side by side, of so many waves, of so many publishers and subscribers.
const ROUND: usize = PARTIES * WAVES * WAVE;
const PARTIES: usize = 4;
const WAVES: usize = 20;
const WAVE: usize = PUBLISHERS + SUBSCRIBERS;
const PUBLISHERS: usize = 5;
const SUBSCRIBERS: usize = 20;
const _: () = assert!(ROUND == 2000);
/// Rooms that a party uses in turn; they stay.
const ROOMS: usize = 2;
/// In every so-manyth wave all vanish, and are missed before the next one begins: the timeout costs time.
const VANISHING: usize = 10;
/// What a round may add to the memory of the one before.
const GROWTH_KIB_MAX: u64 = 2048;
/// How much is held at once, and so how the heap is cut up, differs a little between rounds. A leak grows in all of them.
const ROUNDS_MAX: u64 = 4;

/// How somebody leaves.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// `leave`, and the WebSocket closed in good order.
    Leave,
    /// `detach`
    Detach,
    /// `destroy` of the session.
    Destroy,
    /// A close_notify of the peer's.
    Goodbye,
    /// The WebSocket breaks; the peer goes on for a while.
    Loss,
}

const WAYS: [Way; 5] = [Way::Leave, Way::Detach, Way::Destroy, Way::Goodbye, Way::Loss];

/// Someone in a room.
struct Guest {
    client: Client,
    handle: u64,
    peer: Peer,
}

/// One group of people with a thread of its own, and a crew for their peers.
struct Party<'s> {
    server: &'s Server,
    number: usize,
    crew: Crew,
    host: Host,
    /// How often a party was complete or had left.
    gathered: &'s AtomicUsize,
}

impl Party<'_> {
    fn celebrate(server: &Server, number: usize, gathered: &AtomicUsize) {
        let (crew, host) = (Crew::new(), Host::new(server));
        let mut party = Party { server, number, crew, host, gathered };
        for wave in 0..WAVES {
            party.wave(wave);
            party.together(2 * wave + 2);
        }
    }

    /// Waits for the other parties: they are complete at the same time, and have left before anybody comes again, so
    /// that one round holds as much at once as the other.
    fn together(&self, times: usize) {
        self.gathered.fetch_add(1, Ordering::Relaxed);
        let all = || (self.gathered.load(Ordering::Relaxed) >= times * PARTIES).then_some(());
        wait_for(3 * SOON, "the other parties", all);
    }

    fn wave(&mut self, wave: usize) {
        // Every fifth wave is in a room that ends before they leave.
        let ends = wave % 5 == 4;
        let room = if ends { 5000 + self.number } else { room(self.number, wave % ROOMS) };
        let room = u64::try_from(room).expect("a small number");
        if ends {
            self.host.create(room);
        }
        let mut guests = self.wave_in(room);
        self.together(2 * wave + 1);
        if ends {
            self.host.destroy(room);
            for Guest { client, handle, .. } in &mut guests {
                hung_up(client, *handle, "Close PC");
            }
            return;
        }
        if wave % VANISHING == VANISHING - 2 {
            // Their peers are silent from now on; the WebSockets stay. Publishers owe media and are missed. Subscribers
            // to whom nothing is sent are not, until their sessions end with the WebSockets.
            let mut clients: Vec<_> = guests.into_iter().map(|Guest { client, handle, .. }| (client, handle)).collect();
            for (client, handle) in &mut clients[..PUBLISHERS] {
                hung_up(client, *handle, "ICE failed");
            }
            return;
        }
        if wave % 2 == 1 {
            guests.reverse();
        }
        for (n, guest) in guests.into_iter().enumerate() {
            leave(WAYS[(wave + n) % WAYS.len()], guest);
        }
    }

    /// Everybody of a wave, connected, and some have heard what one of them says.
    fn wave_in(&self, room: u64) -> Vec<Guest> {
        let newcomer = || (Client::connect(self.server.signalling), Peer::aboard(&self.crew, self.server.media));
        let publish = |_| {
            let (client, peer) = newcomer();
            Publisher::begin(client, peer, room)
        };
        let mut publishers: Vec<_> = (0..PUBLISHERS).map(publish).collect();
        for Publisher { client, handle, .. } in &mut publishers {
            client.event(*handle, "webrtcup", SOON);
        }
        let feeds: Vec<_> = publishers.iter().map(|publisher| publisher.feed).collect();
        let subscribe = |n: usize| {
            let (client, peer) = newcomer();
            Subscriber::begin(client, peer, room, feeds[n % feeds.len()])
        };
        let mut subscribers: Vec<_> = (0..SUBSCRIBERS).map(subscribe).collect();
        for Subscriber { client, handle, peer } in &mut subscribers {
            client.event(*handle, "webrtcup", SOON);
            peer.wait(SOON, "keys", |ledger| ledger.connected);
        }
        publishers[0].peer.tell(Order::Speak(Speech::SMALL));
        for Subscriber { peer, .. } in subscribers.iter().step_by(PUBLISHERS) {
            peer.wait(SOON, "sound and picture", |ledger| ledger.heard.len() == 2);
            // What somebody who has vanished is still sent can come to who has the port now; but no media of it counts.
            peer.look(|ledger| assert_eq!((ledger.replayed, ledger.corrupt), (0, 0), "{ledger:?}"));
        }
        let publishers = publishers.into_iter().map(|Publisher { client, handle, peer, .. }| (client, handle, peer));
        let subscribers = subscribers.into_iter().map(|Subscriber { client, handle, peer }| (client, handle, peer));
        publishers.chain(subscribers).map(|(client, handle, peer)| Guest { client, handle, peer }).collect()
    }
}

fn leave(way: Way, mut guest: Guest) {
    let handle = guest.handle;
    match way {
        Way::Leave => {
            let left = guest.client.message(handle, json!({ "request": "leave" }));
            assert!(left["left"] == "ok" || left["leaving"] == "ok", "{left}");
            guest.client.send(Message::Close(None)).expect("the server reads");
        }
        Way::Detach => {
            let gone = guest.client.ask(json!({ "janus": "detach", "handle_id": handle }));
            assert_eq!(gone["janus"], "success", "{gone}");
        }
        Way::Destroy => {
            let gone = guest.client.ask(json!({ "janus": "destroy" }));
            assert_eq!(gone["janus"], "success", "{gone}");
        }
        Way::Goodbye => {
            guest.peer.tell(Order::CloseDtls);
            hung_up(&mut guest.client, handle, "DTLS alert");
        }
        Way::Loss => drop(guest.client),
    }
}

fn hung_up(client: &mut Client, handle: u64, reason: &str) {
    let hangup = client.event(handle, "hangup", SOON);
    assert_eq!(hangup["reason"], reason, "{hangup}");
}

fn room(party: usize, n: usize) -> usize {
    4000 + party * ROOMS + n
}

#[test]
fn two_thousand_come_and_go_twice_and_nothing_of_them_stays() {
    let _alone = alone();
    let mut server = Server::start(31_800, 2, &["--peer-timeout", "6"]);
    let mut host = Host::new(&server);
    for n in 0..PARTIES * ROOMS {
        host.create(u64::try_from(room(0, n)).expect("a small number"));
    }
    drop(host);
    let nobody = |gauges: &std::collections::BTreeMap<String, u64>| gauges["sessions"] == 0 && gauges["duties"] == 0;
    let gauges = wait_for(SOON, "an empty server", || Some(server.health().every_gauge()).filter(nobody));
    let descriptors = server.descriptors();
    let before = server.resident_kib();

    let mut resident: Vec<u64> = vec![];
    let grows = |resident: &[u64]| resident.windows(2).all(|rounds| rounds[1] > rounds[0] + GROWTH_KIB_MAX);
    for round in 1..=ROUNDS_MAX {
        if round > 2 && !grows(&resident) {
            break;
        }
        let since = Instant::now();
        let gathered = AtomicUsize::new(0);
        thread::scope(|scope| {
            for number in 0..PARTIES {
                let (server, gathered) = (&server, &gathered);
                scope.spawn(move || Party::celebrate(server, number, gathered));
            }
        });
        println!("round {round}: {ROUND} people in {:?}", since.elapsed());
        assert_eq!(server.health().counter("peers_connected"), round * u64::try_from(ROUND).unwrap());
        server.wait_for_gauges(&gauges);
        assert_eq!(server.descriptors(), descriptors);
        resident.push(server.resident_kib());
    }
    println!("memory in KiB: {before} before, then {resident:?}; dropped: {:?}", server.health().all_drops());
    assert!(!grows(&resident), "{resident:?} KiB");
    server.is_well();
}
