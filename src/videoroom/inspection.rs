//! What an operator is shown of one handle: what it is to its room, and its peer connection as the engine sees it.
//! Nothing here is told to clients.

use super::state::{Role, Seat, Wiring};
use crate::control::inspection::MemberView;
use crate::id::HandleAddress;

impl Wiring {
    /// What a handle is; none when it never joined.
    pub fn inspect(&self, handle: HandleAddress) -> Option<MemberView> {
        let room = self.room();
        let member = match self.roster.seats.get(&handle)? {
            Seat::Finished => return Some(MemberView::Finished(room)),
            Seat::Member(member) => *member,
        };
        Some(match &self.roster.members[member].role {
            Role::Publisher(publisher) => {
                let receivers = |stream| self.streams.get(stream).map_or(0, |stream| stream.legs.len());
                let streams = publisher.lines.iter();
                MemberView::Publisher {
                    room,
                    who: publisher.who.clone(),
                    private_id: publisher.private_id,
                    bitrate: publisher.bitrate,
                    streams: streams.map(|line| (line.summary(true), line.stream.map_or(0, receivers))).collect(),
                }
            }
            Role::Subscriber(subscriber) => MemberView::Subscriber {
                room,
                private_id: subscriber.private_id,
                streams: self.subscription(member),
                state: subscriber.state(),
            },
        })
    }
}
