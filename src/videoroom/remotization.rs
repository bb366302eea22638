//! Publishers that are shown to another server as one of its own: every m-line of such a publisher, also those that it will
//! yet add, has a forwarder to one port there. Which m-line a packet is of is in its SSRC.

use super::state::{Forwarder, Forwarders, Remotization, Room};
use crate::control::command::Reply;
use crate::control::effect::Effect;
use crate::control::error::RoomError;
use crate::control::forward::{Of, Target};
use crate::control::remote::{FIRST_SSRC, Remotize, SSRCS_PER_LINE};
use crate::control::summary::RemoteSummary;
use crate::id::{FeedId, MemberId};
use crate::limits::REMOTIZATIONS_PER_ROOM_MAX;
use crate::wire::sdp::MediaKind;

impl Room {
    /// `publish_remotely`
    pub(super) fn remotize(&mut self, wish: Remotize, effects: &mut Vec<Effect>) -> Result<Reply, RoomError> {
        let Remotize { feed, remote_id, to, rtcp_port, srtp } = wish;
        let publisher = *self.wiring.roster.feeds.get(&feed).ok_or_else(|| RoomError::NoSuchFeed(feed.clone()))?;
        if self.wiring.roster.publisher(publisher).is_remote {
            return Err(RoomError::OnlyLocal);
        }
        if self.forwarding.remotizations.iter().any(|of| (of.publisher, &of.remote_id) == (publisher, &remote_id)) {
            return Err(RoomError::RemotizationExists(remote_id));
        }
        if self.forwarding.remotizations.len() >= REMOTIZATIONS_PER_ROOM_MAX {
            return Err(RoomError::Exhausted("remotizations of the room"));
        }
        // All begin with the same SSRC.
        if srtp.is_some() && self.forwarding.remotizations.iter().any(|of| of.srtp == srtp) {
            return Err(RoomError::SharedSsrc);
        }
        self.forwarding.remotizations_made += 1;
        let number = self.forwarding.remotizations_made;
        self.forwarding.remotizations.push(Remotization {
            publisher,
            remote_id: remote_id.clone(),
            to,
            rtcp_port,
            srtp,
            number,
        });
        self.route_forwarders(publisher, effects);
        Ok(Reply::Remotized(self.wiring.room(), feed, remote_id))
    }

    /// `unpublish_remotely`
    pub(super) fn unremotize(
        &mut self,
        feed: FeedId,
        remote_id: &str,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, RoomError> {
        let publisher = *self.wiring.roster.feeds.get(&feed).ok_or_else(|| RoomError::NoSuchPublisher(feed.clone()))?;
        let is_meant = |of: &Remotization| of.publisher == publisher && &*of.remote_id == remote_id;
        let found = self.forwarding.remotizations.iter().position(is_meant);
        let at = found.ok_or_else(|| RoomError::NoSuchRemotization(remote_id.into()))?;
        self.forwarding.remotizations.remove(at);
        self.route_forwarders(publisher, effects);
        Ok(Reply::Unremotized(self.wiring.room(), feed))
    }

    /// `listremotes`
    pub(super) fn remotes(&self, feed: FeedId) -> Result<Reply, RoomError> {
        let publisher = *self.wiring.roster.feeds.get(&feed).ok_or_else(|| RoomError::NoSuchPublisher(feed.clone()))?;
        let own = self.forwarding.remotizations.iter().filter(|of| of.publisher == publisher);
        let summary = |of: &Remotization| {
            let Remotization { remote_id, to, rtcp_port, .. } = of;
            RemoteSummary { remote_id: remote_id.clone(), to: *to, rtcp_port: *rtcp_port }
        };
        Ok(Reply::Remotes(self.wiring.room(), feed, own.map(summary).collect()))
    }

    /// The forwarders that a publisher's lines do not have yet.
    pub(super) fn missing_remotely(&self, publisher: MemberId) -> Vec<Forwarder> {
        let lines = self.wiring.roster.publisher(publisher).lines.iter().filter(|line| line.stream.is_some());
        let mut missing = Vec::new();
        for line in lines {
            for remotization in self.forwarding.remotizations.iter().filter(|of| of.publisher == publisher) {
                let Remotization { to, rtcp_port, srtp, number, .. } = remotization;
                let mindex = line.media.mindex;
                if self
                    .forwarding
                    .forwarders
                    .iter()
                    .any(|(_, of)| (of.remotization, of.mindex) == (Some(*number), mindex))
                {
                    continue;
                }
                let place = u32::try_from(mindex).expect("m-lines are few");
                let target = Target {
                    of: Of::Mid(line.media.mid),
                    to: *to,
                    rtcp_port: rtcp_port.filter(|_| line.media.kind == MediaKind::Video),
                    pt: None,
                    ssrc: Some(FIRST_SSRC + SSRCS_PER_LINE * place),
                    substream: 0,
                    simulcast: false,
                    srtp: srtp.clone(),
                };
                missing.push(Forwarder::new(publisher, line, target, Some(*number)));
            }
        }
        missing
    }
}

impl Forwarders {
    /// A publisher's peer connection is gone, and so is what it was elsewhere.
    pub(super) fn forget_remotizations(&mut self, publisher: MemberId) {
        self.remotizations.retain(|of| of.publisher != publisher);
    }

    /// Whether anybody is shown elsewhere under this number.
    pub(super) fn is_remotized(&self, number: u64) -> bool {
        self.remotizations.iter().any(|of| of.number == number)
    }

    /// Whether the publisher is shown anywhere else.
    pub(super) fn has_remotizations(&self, publisher: MemberId) -> bool {
        self.remotizations.iter().any(|of| of.publisher == publisher)
    }
}
