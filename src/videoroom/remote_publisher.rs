//! Publishers of other servers: participants without a handle, whose lines a client describes and whose media come to a
//! port of their own. To everybody else they are publishers like any other.

use super::dummy::line as line_of;
use super::state::{Member, Peer, Publisher, Role, Room, Roster};
use crate::control::codec::Codec;
use crate::control::command::Reply;
use crate::control::effect::Effect;
use crate::control::error::RoomError;
use crate::control::media::PublishedMedia;
use crate::control::observation::RoomObservation;
use crate::control::remote::{AddRemote, FIRST_SSRC, RemoteStream, SSRCS_PER_LINE, UpdateRemote};
use crate::control::request::TalkWish;
use crate::control::spec::{DummyStream, RoomSpec};
use crate::control::summary::Identity;
use crate::id::{FeedId, MemberId, Name};
use crate::limits::MEDIA_LINES_MAX;
use crate::negotiate::OpusFmtp;
use crate::wire::sdp::MediaKind;

impl Room {
    /// `add_remote_publisher`
    pub(super) fn add_remote(&mut self, add: AddRemote, effects: &mut Vec<Effect>) -> Result<Reply, RoomError> {
        let wished = add.id.filter(|id| id.0 != Name::Number(0));
        if let Some(id) = wished.as_ref().filter(|id| self.wiring.roster.feeds.contains_key(id)) {
            return Err(RoomError::IdTaken(id.clone()));
        }
        let id = wished.unwrap_or_else(|| self.unused_feed());
        let who = Identity { id: id.clone(), display: add.display, metadata: add.metadata };
        let mut remote = Publisher::new(who, 0, TalkWish::default(), 0);
        remote.is_remote = true;
        let member =
            self.wiring.roster.members.insert(Member { address: None, peer: Peer::Up, role: Role::Publisher(remote) });
        self.wiring.roster.feeds.insert(id.clone(), member);
        effects.push(Effect::OpenRemote { member, port: add.port, srtp: add.srtp });
        let media =
            add.streams.iter().enumerate().map(|(mindex, stream)| media(mindex, stream, &self.wiring.spec)).collect();
        self.set_lines(member, media, effects);
        for (line, stream) in self.wiring.roster.publisher_mut(member).lines.iter_mut().zip(add.streams) {
            line.description = stream.description;
        }
        self.wiring.watch_talking(member, effects);
        self.announce(member, RoomObservation::Published, effects);
        Ok(Reply::RemoteAdded { room: self.wiring.room(), id, port: add.port })
    }

    /// `update_remote_publisher`. A new name is told to nobody, as in Janus.
    pub(super) fn update_remote(
        &mut self,
        update: UpdateRemote,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, RoomError> {
        let member = self.wiring.roster.remote(&update.id)?;
        let spec = self.wiring.spec.clone();
        let publisher = self.wiring.roster.publisher_mut(member);
        publisher.who.display = update.display.or(publisher.who.display.take());
        publisher.who.metadata = update.metadata.or(publisher.who.metadata.take());
        let mut lines: Vec<PublishedMedia> = publisher.lines.iter().map(|line| line.media.clone()).collect();
        let (known_lines, mut described) = (lines.len(), false);
        for stream in &update.streams {
            let known = lines.iter().position(|line| Some(line.mid) == stream.mid);
            match known {
                Some(at) => {
                    let line = &mut lines[at];
                    // Of a line that is known, whether it rests is all that may change.
                    line.codec = match (stream.codec, line.codec) {
                        (None, _) => None,
                        (Some(_), Some(codec)) => Some(codec),
                        (Some(_), None) => media(at, stream, &spec).codec,
                    };
                    if let (Some(text), Some(line)) = (&stream.description, publisher.lines.get_mut(at)) {
                        line.description = Some(text.clone());
                        described = true;
                    }
                }
                None if stream.mindex == lines.len() && lines.len() < MEDIA_LINES_MAX => {
                    lines.push(media(stream.mindex, stream, &spec));
                }
                // It would not be at its place, and its packets would be another's.
                None => {}
            }
        }
        let (changed, orphans) = self.set_lines(member, lines, effects);
        for stream in update.streams.into_iter().filter(|stream| stream.mindex >= known_lines) {
            if let Some(line) = self.wiring.roster.publisher_mut(member).lines.get_mut(stream.mindex) {
                line.description = line.description.take().or(stream.description);
            }
        }
        self.wiring.watch_talking(member, effects);
        self.wiring.update_subscribers(orphans, effects);
        if changed || described {
            self.announce(member, RoomObservation::Republished, effects);
        }
        Ok(Reply::RemoteDone)
    }

    /// `remove_remote_publisher`: it leaves, and its subscribers hear of it whether they want to or not.
    pub(super) fn remove_remote(&mut self, id: &FeedId, effects: &mut Vec<Effect>) -> Result<Reply, RoomError> {
        let member = self.wiring.roster.remote(id)?;
        let orphans = self.withdraw(member, effects);
        for orphan in orphans {
            self.wiring.send_offer(orphan, false, effects);
        }
        self.tell_leaving(member, effects);
        self.wiring.roster.close_peer(member, effects);
        self.wiring.roster.remove_member(member);
        Ok(Reply::RemoteDone)
    }
}

impl Roster {
    pub(super) fn remote(&self, id: &FeedId) -> Result<MemberId, RoomError> {
        let member = self.feeds.get(id).copied().filter(|&member| self.publisher(member).is_remote);
        member.ok_or_else(|| RoomError::NoSuchRemotePublisher(id.clone()))
    }
}

/// A line at its place; one with a codec that the room has not is disabled.
fn media(mindex: usize, stream: &RemoteStream, spec: &RoomSpec) -> PublishedMedia {
    let has = |codec: &Codec| spec.audio_codecs.contains(codec) || spec.video_codecs.contains(codec);
    let RemoteStream { h264_profile, vp9_profile, extensions, .. } = stream;
    let opus = OpusFmtp { fec: stream.fec, dtx: stream.dtx, stereo: stream.stereo }.masked(spec);
    let fmtp = match stream.codec {
        Some(Codec::H264) => {
            h264_profile.as_ref().map(|id| format!("packetization-mode=1;profile-level-id={id}").into())
        }
        Some(Codec::Vp9) => vp9_profile.as_ref().map(|id| format!("profile-id={id}").into()),
        Some(Codec::Opus) => opus.text(),
        _ => None,
    };
    let codec = stream.codec.unwrap_or(if stream.is_video { Codec::Vp8 } else { Codec::Opus });
    let place = u32::try_from(mindex).expect("m-lines are few");
    let line = line_of(mindex, DummyStream { codec, fmtp }, spec);
    PublishedMedia {
        kind: if codec.is_video() { MediaKind::Video } else { MediaKind::Audio },
        codec: stream.codec.filter(has),
        extensions: *extensions,
        ssrcs: vec![FIRST_SSRC + SSRCS_PER_LINE * place],
        stereo: opus.stereo,
        fec: opus.fec,
        dtx: opus.dtx,
        h264_profile: h264_profile.clone().filter(|_| codec == Codec::H264),
        vp9_profile: vp9_profile.clone().filter(|_| codec == Codec::Vp9),
        ..line
    }
}
