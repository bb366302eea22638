//! A published m-line, and the stream behind it that subscribers are wired to. What happens to them is in `publisher`.

use crate::control::media::PublishedMedia;
use crate::control::summary::StreamSummary;
use crate::control::talking::TalkRule;
use crate::id::{LegId, MemberId, StreamId};
use crate::wire::rtp::extension::PlayoutDelay;
use crate::wire::sdp::MediaKind;

/// A published m-line.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) media: PublishedMedia,
    pub(super) description: Option<Box<str>>,
    /// Whether the publisher wants it relayed.
    pub(super) send: bool,
    /// Whether a moderator forbids to relay it, whatever the publisher wants.
    pub(super) muted: bool,
    /// What its packets are to say in the place of what they say.
    pub(super) delay: Option<PlayoutDelay>,
    /// What subscribers are wired to; none while the line is disabled.
    pub(super) stream: Option<StreamId>,
}

/// A line that can be subscribed to.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) publisher: MemberId,
    pub(super) mindex: usize,
    pub(super) legs: Vec<LegId>,
    /// What the engine said last.
    pub(super) talking: bool,
    /// What the engine was told last.
    pub(super) rule: Option<TalkRule>,
}

impl Line {
    /// A line as it was agreed, before anybody wants anything of it.
    pub(super) fn new(media: PublishedMedia) -> Line {
        Line { media, description: None, send: true, muted: false, delay: None, stream: None }
    }

    /// Whether its packets go to subscribers.
    pub(super) fn is_relayed(&self) -> bool {
        self.send && !self.muted
    }

    /// Whether its packets say how loud they are (RFC 6464).
    pub(super) fn has_level(&self) -> bool {
        self.media.kind == MediaKind::Audio && self.media.extensions.audio_level.is_some()
    }

    /// What is shown of it, to others or to the publisher itself.
    pub fn summary(&self, to_itself: bool) -> StreamSummary {
        let PublishedMedia { mindex, mid, kind, codec, stereo, fec, dtx, extensions, .. } = &self.media;
        let shown = |id: Option<u8>| id.filter(|_| to_itself);
        StreamSummary {
            kind: *kind,
            mindex: *mindex,
            mid: *mid,
            disabled: codec.is_none(),
            description: self.description.clone(),
            codec: *codec,
            stereo: *stereo,
            fec: *fec,
            dtx: *dtx,
            talking: None,
            moderated: self.muted && !to_itself,
            h264_profile: self.media.h264_profile.clone(),
            vp9_profile: self.media.vp9_profile.clone(),
            audiolevel_ext_id: shown(extensions.audio_level),
            videoorient_ext_id: shown(extensions.orientation),
            playoutdelay_ext_id: shown(extensions.playout_delay),
        }
    }
}

impl Stream {
    /// A stream that nobody receives yet.
    pub(super) fn new(publisher: MemberId, mindex: usize) -> Stream {
        Stream { publisher, mindex, legs: Vec::new(), talking: false, rule: None }
    }
}
