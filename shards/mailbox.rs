//! The mailboxes between shards, but for those of media shards among themselves: one bounded single-producer lane for each
//! pair and direction. A
//! full lane hands the message back; nobody waits. What travels in a lane, this file does not know.

use crate::doorbell::{Bell, ChannelBell, Doorbell, EventBell};
use portunus::control::command::{CommandEnvelope, Mail};
use portunus::limits::LANE_DEPTH;
use portunus::signalling::Relay;
use rtrb::{Consumer, Producer, RingBuffer};
use std::io;
use std::sync::Arc;

/// A media shard's ends of its lanes: commands come in, mail goes out.
pub type MediaPost = Post<CommandEnvelope, Mail, EventBell, ChannelBell>;
/// A signalling shard's ends of the lanes to media shards.
pub type SignallingPost = Post<Mail, CommandEnvelope, ChannelBell, EventBell>;
/// A signalling shard's ends of the lanes to the others; the door is the same.
pub type RelayPost = Post<Relay, Relay, ChannelBell, ChannelBell>;

/// All that a signalling shard has.
pub struct SignallingEnd {
    /// Its ends of the lanes to media shards.
    pub post: SignallingPost,
    /// Its ends of the lanes to signalling shards.
    pub relays: RelayPost,
    /// What to await for its bell.
    pub heard: async_channel::Receiver<()>,
}

/// One shard's ends of all its lanes.
pub struct Post<In, Out, Mine, Theirs> {
    inbox: Vec<Consumer<In>>,
    outbox: Vec<Outgoing<Out, Theirs>>,
    door: Arc<Doorbell<Mine>>,
    next: usize,
}

struct Outgoing<Out, Theirs> {
    lane: Producer<Out>,
    door: Arc<Doorbell<Theirs>>,
    published: bool,
}

impl<In, Out, Mine: Bell, Theirs: Bell> Post<In, Out, Mine, Theirs> {
    /// The next message, the lanes in turn.
    pub fn take(&mut self) -> Option<In> {
        for _ in 0..self.inbox.len() {
            let lane = self.next;
            self.next = (lane + 1) % self.inbox.len();
            if let Ok(message) = self.inbox[lane].pop() {
                return Some(message);
            }
        }
        None
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.inbox.iter().all(Consumer::is_empty)
    }

    /// Puts a message into the lane to shard number `to`, or gives it back when the lane is full. The receiver is told
    /// by [`ring`](Self::ring).
    pub fn put(&mut self, to: u8, message: Out) -> Result<(), Out> {
        let outgoing = &mut self.outbox[usize::from(to)];
        let put = outgoing.lane.push(message).map_err(|rtrb::PushError::Full(message)| message);
        outgoing.published |= put.is_ok();
        put
    }

    /// Rings at every shard that got something since the last call: once per burst.
    pub fn ring(&mut self) {
        for outgoing in &mut self.outbox {
            if std::mem::take(&mut outgoing.published) {
                outgoing.door.ring();
            }
        }
    }

    /// This shard's own door.
    pub fn door(&self) -> &Arc<Doorbell<Mine>> {
        &self.door
    }
}

/// Every lane among `signalling_shards` signalling shards, and between them and `shards` media shards: the ends in order.
pub fn mesh(signalling_shards: u8, shards: u8) -> io::Result<(Vec<SignallingEnd>, Vec<MediaPost>)> {
    let mut signalling = Vec::new();
    for _ in 0..signalling_shards {
        let (bell, heard) = ChannelBell::new();
        let door = Arc::new(Doorbell::new(bell));
        let post = Post { inbox: vec![], outbox: vec![], door: door.clone(), next: 0 };
        signalling.push(SignallingEnd { post, relays: Post { inbox: vec![], outbox: vec![], door, next: 0 }, heard });
    }
    for from in 0..signalling.len() {
        for to in 0..signalling.len() {
            // A shard has nothing to tell itself; the lane keeps the numbers right.
            let (lane, end) = RingBuffer::new(if from == to { 1 } else { LANE_DEPTH });
            let door = signalling[to].relays.door.clone();
            signalling[from].relays.outbox.push(Outgoing { lane, door, published: false });
            signalling[to].relays.inbox.push(end);
        }
    }
    let mut media = Vec::new();
    for _ in 0..shards {
        let door = Arc::new(Doorbell::new(EventBell::new()?));
        let mut post: MediaPost = Post { inbox: vec![], outbox: vec![], door, next: 0 };
        for peer in &mut signalling {
            connect(&mut peer.post, &mut post);
            connect(&mut post, &mut peer.post);
        }
        media.push(post);
    }
    Ok((signalling, media))
}

fn connect<A, M, B, X, Y>(from: &mut Post<A, M, X, Y>, to: &mut Post<M, B, Y, X>) {
    let (lane, end) = RingBuffer::new(LANE_DEPTH);
    from.outbox.push(Outgoing { lane, door: to.door.clone(), published: false });
    to.inbox.push(end);
}

#[cfg(test)]
mod tests {
    use super::*;
    use portunus::control::command::Command;
    use portunus::id::SignallingId;

    fn survey(from: u8) -> CommandEnvelope {
        CommandEnvelope { ticket: None, from: SignallingId(from), command: Command::Survey }
    }

    #[test]
    fn a_full_lane_gives_the_message_back_and_the_others_still_take() {
        let (mut signalling, mut media) = mesh(1, 2).unwrap();
        let post = &mut signalling[0].post;
        for _ in 0..LANE_DEPTH {
            post.put(0, survey(0)).unwrap();
        }
        assert!(post.put(0, survey(7)).is_err_and(|refused| refused.from == SignallingId(7)));
        assert!(post.put(1, survey(0)).is_ok());
        assert!(media[0].take().is_some());
        assert!(post.put(0, survey(0)).is_ok());
        assert!(media[1].take().is_some() && media[1].is_empty());
    }

    #[test]
    fn lanes_are_emptied_in_turn_so_that_none_starves() {
        let (mut signalling, mut media) = mesh(2, 1).unwrap();
        for (n, SignallingEnd { post, .. }) in signalling.iter_mut().enumerate() {
            for _ in 0..3 {
                post.put(0, survey(u8::try_from(n).unwrap())).unwrap();
            }
        }
        let order: Vec<u8> = std::iter::from_fn(|| media[0].take()).map(|envelope| envelope.from.0).collect();
        assert_eq!(order, [0, 1, 0, 1, 0, 1]);
    }

    #[test]
    fn no_cache_line_is_written_by_two_shards_in_their_turns() {
        // Between messages a shard writes nothing that others can see but the flag of its own door.
        const LINES: usize = 128;
        let (signalling, media) = mesh(2, 8).unwrap();
        let doors = media.iter().map(|post| std::ptr::from_ref(&**post.door()).addr());
        let doors = doors.chain(signalling.iter().map(|end| std::ptr::from_ref(&**end.post.door()).addr()));
        let doors: Vec<usize> = doors.collect();
        assert!(doors.iter().all(|door| door.is_multiple_of(LINES)));
        assert!(size_of::<Doorbell<EventBell>>().is_multiple_of(LINES));
        assert!(size_of::<Doorbell<ChannelBell>>().is_multiple_of(LINES));
        let lines: std::collections::BTreeSet<usize> = doors.iter().map(|door| door / LINES).collect();
        assert_eq!(lines.len(), doors.len());
    }

    #[test]
    fn a_burst_rings_a_sleeping_shard_once_and_an_awake_one_never() {
        let (mut signalling, mut media) = mesh(1, 1).unwrap();
        let SignallingEnd { post, heard, .. } = &mut signalling[0];
        let mail = || Mail::Event {
            from: portunus::id::ShardId(0),
            to: vec![],
            event: portunus::control::command::Event::WebrtcUp,
        };
        media[0].put(0, mail()).unwrap();
        media[0].ring();
        assert!(heard.try_recv().is_err());
        post.door().prepare_sleep();
        assert!(!post.is_empty());
        media[0].put(0, mail()).unwrap();
        media[0].put(0, mail()).unwrap();
        media[0].ring();
        media[0].ring();
        assert!(heard.try_recv().is_ok() && heard.try_recv().is_err());
    }

    #[test]
    fn signalling_shards_reach_each_other_through_the_door_that_all_mail_uses() {
        let (mut signalling, _) = mesh(2, 1).unwrap();
        let ticket = portunus::id::Ticket { slot: 0, generation: 0 };
        let relay = || Relay::Question(SignallingId(0), ticket, portunus::signalling::Question::Survey);
        signalling[1].post.door().prepare_sleep();
        signalling[0].relays.put(1, relay()).unwrap();
        signalling[0].relays.ring();
        assert!(signalling[1].heard.try_recv().is_ok());
        assert!(signalling[1].relays.take().is_some() && signalling[0].relays.is_empty());
        for _ in 0..LANE_DEPTH {
            signalling[0].relays.put(1, relay()).unwrap();
        }
        assert!(signalling[0].relays.put(1, relay()).is_err());
    }
}
