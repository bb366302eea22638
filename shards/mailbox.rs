//! The mailboxes between signalling and media shards: one bounded single-producer lane for each pair and direction. A
//! full lane hands the message back; nobody waits. What travels in a lane, this file does not know.

use crate::doorbell::{Bell, ChannelBell, Doorbell, EventBell};
use portunus::limits::LANE_DEPTH;
use portunus::room::command::{CommandEnvelope, Mail};
use rtrb::{Consumer, Producer, RingBuffer};
use std::io;
use std::sync::Arc;

/// A media shard's desk: commands come in, mail goes out.
pub type MediaPost = Post<CommandEnvelope, Mail, EventBell, ChannelBell>;
/// A signalling shard's desk.
pub type SignalPost = Post<Mail, CommandEnvelope, ChannelBell, EventBell>;
/// The same with what to await for its bell.
pub type SignalEnd = (SignalPost, async_channel::Receiver<()>);

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

/// Every lane between `signals` signalling and `shards` media shards: the desks in order, those of signalling with
/// what to await for their bell.
pub fn mesh(signals: u8, shards: u8) -> io::Result<(Vec<SignalEnd>, Vec<MediaPost>)> {
    let mut signal = Vec::new();
    for _ in 0..signals {
        let (bell, heard) = ChannelBell::new();
        signal.push((Post { inbox: vec![], outbox: vec![], door: Arc::new(Doorbell::new(bell)), next: 0 }, heard));
    }
    let mut media = Vec::new();
    for _ in 0..shards {
        let door = Arc::new(Doorbell::new(EventBell::new()?));
        let mut post: MediaPost = Post { inbox: vec![], outbox: vec![], door, next: 0 };
        for (peer, _) in &mut signal {
            connect(peer, &mut post);
            connect(&mut post, peer);
        }
        media.push(post);
    }
    Ok((signal, media))
}

fn connect<A, M, B, X, Y>(from: &mut Post<A, M, X, Y>, to: &mut Post<M, B, Y, X>) {
    let (lane, end) = RingBuffer::new(LANE_DEPTH);
    from.outbox.push(Outgoing { lane, door: to.door.clone(), published: false });
    to.inbox.push(end);
}

#[cfg(test)]
mod tests {
    use super::*;
    use portunus::id::SignalId;
    use portunus::room::command::Command;

    fn survey(from: u8) -> CommandEnvelope {
        CommandEnvelope { ticket: None, from: SignalId(from), command: Command::Survey }
    }

    #[test]
    fn a_full_lane_gives_the_message_back_and_the_others_still_take() {
        let (mut signal, mut media) = mesh(1, 2).unwrap();
        let post = &mut signal[0].0;
        for _ in 0..LANE_DEPTH {
            post.put(0, survey(0)).unwrap();
        }
        assert!(post.put(0, survey(7)).is_err_and(|refused| refused.from == SignalId(7)));
        assert!(post.put(1, survey(0)).is_ok());
        assert!(media[0].take().is_some());
        assert!(post.put(0, survey(0)).is_ok());
        assert!(media[1].take().is_some() && media[1].is_empty());
    }

    #[test]
    fn lanes_are_emptied_in_turn_so_that_none_starves() {
        let (mut signal, mut media) = mesh(2, 1).unwrap();
        for (n, (post, _)) in signal.iter_mut().enumerate() {
            for _ in 0..3 {
                post.put(0, survey(u8::try_from(n).unwrap())).unwrap();
            }
        }
        let order: Vec<u8> = std::iter::from_fn(|| media[0].take()).map(|envelope| envelope.from.0).collect();
        assert_eq!(order, [0, 1, 0, 1, 0, 1]);
    }

    #[test]
    fn a_burst_rings_a_sleeping_shard_once_and_an_awake_one_never() {
        let (mut signal, mut media) = mesh(1, 1).unwrap();
        let (post, heard) = &mut signal[0];
        let mail = || Mail::Event {
            from: portunus::id::ShardId(0),
            to: vec![],
            event: portunus::room::command::Event::WebrtcUp,
        };
        media[0].put(0, mail()).unwrap();
        media[0].ring();
        assert!(heard.try_recv().is_err());
        post.door().doze();
        assert!(!post.is_empty());
        media[0].put(0, mail()).unwrap();
        media[0].put(0, mail()).unwrap();
        media[0].ring();
        media[0].ring();
        assert!(heard.try_recv().is_ok() && heard.try_recv().is_err());
    }
}
