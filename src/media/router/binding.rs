//! Which m-line a packet belongs to (RFC 9143 §9.2): by its SSRC where that is known, else by its MID, else by its payload
//! type where only one m-line has it.

use super::{HostedRoom, Table};
use crate::control::media::PublishedMedia;
use crate::control::observation::Observation;
use crate::id::{MemberId, StreamId};
use crate::limits::{NOTICE_INTERVAL, SOURCES_PER_PEER};
use crate::media::peer::Peer;
use crate::media::sources::Source;
use crate::media::stream::Stream;
use crate::media::turn::Turn;
use crate::media::verdict::DropReason;
use crate::time::Mono;
use crate::wire::rtp::Packet;
use crate::wire::rtp::extension::identifier;

/// Which m-line and layer the packet's SSRC belongs to; it is remembered. A peer can only ever bind to its own streams. An
/// SSRC that is bound already moves: "update the incoming SSRC mapping table".
pub(super) fn bind(
    peer: &mut Peer,
    streams: &Table<Stream>,
    packet: &Packet<'_>,
    received: Mono,
) -> Result<Source, DropReason> {
    let (id, media) = find(peer, streams, packet).ok_or(DropReason::RtpUnknownSource)?;
    let source = match packet.header.payload_type {
        pt if pt == media.pt => Source::Media(id, 0),
        pt if Some(pt) == media.rtx_pt => Source::Repair { stream: id, layer: 0, of: None },
        // "If the payload type does not match [...] discard the packet": it must not move anything either.
        _ => return Err(DropReason::RtpPayloadType),
    };
    peer.sources.bind(packet.header.ssrc, source, received).map_err(|_| DropReason::SrtpTooManySources)?;
    Ok(source)
}

/// The m-line that the packet's MID names. Without a MID it is the only one with the packet's payload type: "If the payload
/// type of the packet is in the payload type table, update the incoming SSRC mapping table".
fn find<'a>(peer: &Peer, streams: &'a Table<Stream>, packet: &Packet<'_>) -> Option<(StreamId, &'a PublishedMedia)> {
    let own = || peer.streams.iter().filter_map(|id| Some((*id, &streams.get(id.0)?.media)));
    let mid = |media: &PublishedMedia| extension(packet, media.extensions.mid).and_then(identifier);
    if own().any(|(_, media)| mid(media).is_some()) {
        return own().find(|(_, media)| mid(media).is_some_and(|mid| mid == &*media.mid));
    }
    let payload_type = packet.header.payload_type;
    let mut having = own().filter(|(_, media)| media.pt == payload_type || media.rtx_pt == Some(payload_type));
    having.next().filter(|_| having.next().is_none())
}

/// Whether the packet's MID names another m-line than the one that its SSRC belongs to.
pub(super) fn names_another(streams: &Table<Stream>, source: Source, packet: &Packet<'_>) -> bool {
    streams.get(source.stream().0).is_some_and(|stream| {
        extension(packet, stream.media.extensions.mid).and_then(identifier).is_some_and(|mid| mid != &*stream.media.mid)
    })
}

/// Nothing more is expected of an SSRC, unless its layer relays another one by now.
pub(super) fn end_source(streams: &mut Table<Stream>, source: Source, ssrc: u32) {
    let Source::Media(id, layer) = source else { return };
    if let Some(layer) = streams.get_mut(id.0).and_then(|stream| stream.layers.get_mut(layer)) {
        layer.end(ssrc);
    }
}

/// The value of an extension in a packet, if both have it.
pub(super) fn extension<'a>(packet: &Packet<'a>, id: Option<u8>) -> Option<&'a [u8]> {
    let id = id?;
    packet.extensions().find(|(ext, _)| *ext == id).map(|(_, value)| value)
}

impl HostedRoom {
    /// A stream's description announces these SSRCs from now on. What it does not announce any more is forgotten, so that
    /// a page that changes its tracks for hours does not fill the table.
    pub(super) fn announce_sources(&mut self, turn: &mut Turn<'_>, id: StreamId, before: Option<&PublishedMedia>) {
        let Some(stream) = self.streams.get(id.0) else { return };
        let (member, media) = (stream.member, &stream.media);
        let Some(peer) = self.peers.get_mut(member.0) else { return };
        if let Some(before) = before {
            let repairs = before.rtx_ssrcs.iter().flatten();
            before.ssrcs.iter().chain(repairs).for_each(|ssrc| peer.sources.withdraw(*ssrc, id));
        }
        let repair =
            |(of, rtx): (&u32, &Option<u32>)| Some(((*rtx)?, Source::Repair { stream: id, layer: 0, of: Some(*of) }));
        let repairs = media.ssrcs.iter().zip(&media.rtx_ssrcs).filter_map(repair);
        let announced = media.ssrcs.iter().map(|ssrc| (*ssrc, Source::Media(id, 0))).chain(repairs);
        let mut refused = None;
        for (ssrc, source) in announced {
            if peer.sources.announce(ssrc, source, turn.now.mono).is_err() {
                refused.get_or_insert(ssrc);
            }
        }
        if let Some(ssrc) = refused {
            self.sources_exhausted(turn, member, ssrc);
        }
    }

    /// A publisher's SSRC is not taken because there are too many: who operates the server hears of it, once in a while.
    #[cold]
    pub(super) fn sources_exhausted(&mut self, turn: &mut Turn<'_>, member: MemberId, ssrc: u32) {
        let now = turn.now.mono;
        let Some(of) = self.room.roster().address(member) else { return };
        let Some(peer) = self.peers.get_mut(member.0) else { return };
        if peer.exhausted_told.is_some_and(|told| now.since(told) < NOTICE_INTERVAL) {
            return;
        }
        peer.exhausted_told = Some(now);
        turn.state.notices.sources_exhausted(now, self.id(), of, ssrc);
        self.observe(turn, member, Observation::SourcesExhausted { ssrc, most: SOURCES_PER_PEER });
    }
}
