//! Which header extensions cross the room: the URIs that we understand, which of a publisher's offer are kept, and the
//! fixed ids under which subscribers get them (RFC 8285 §5).

use crate::control::codec::Codec;
use crate::control::media::ExtensionIds;
use crate::control::spec::RoomSpec;
use crate::wire::rtp::extension::{
    ABS_SEND_TIME_URI as ABS_SEND_TIME, AUDIO_LEVEL_URI as AUDIO_LEVEL, DEPENDENCY_DESCRIPTOR_URI as DEPENDENCY,
    MID_URI as MID, PLAYOUT_DELAY_URI as PLAYOUT_DELAY, REPAIRED_RID_URI as REPAIRED_RID, RID_URI as RID,
    TRANSPORT_CC_URI as TRANSPORT_CC, VIDEO_ORIENTATION_URI as ORIENTATION,
};
use crate::wire::sdp::{Direction, ExtensionMap, MediaKind, MediaSection};

/// Our ids toward a subscriber of a stream: Janus' fixed numbers. Audio level, playout delay and orientation are offered
/// when the publisher has them, transport-cc when the room wants it, abs-send-time with all video.
pub fn subscriber_extensions(kind: MediaKind, publisher: &ExtensionIds, spec: &RoomSpec) -> ExtensionIds {
    let transport_cc = spec.transport_wide_cc_ext.then_some(3);
    match kind {
        MediaKind::Audio => ExtensionIds {
            mid: Some(4),
            audio_level: publisher.audio_level.map(|_| 1),
            transport_cc,
            ..ExtensionIds::default()
        },
        MediaKind::Video => ExtensionIds {
            mid: Some(4),
            abs_send_time: Some(2),
            transport_cc,
            playout_delay: publisher.playout_delay.map(|_| 12),
            orientation: publisher.orientation.map(|_| 13),
            ..ExtensionIds::default()
        },
        MediaKind::Data | MediaKind::Other => ExtensionIds::default(),
    }
}

/// What we take of a publisher's offered extensions, under its ids. The
/// rid extensions stay where rids were offered although no layer is asked for: Chromium refuses its own next offer
/// otherwise ("negotiates simulcast but does not negotiate the RID RTP header extension").
pub(super) fn publisher_extensions(offered: &MediaSection, codec: Codec, spec: &RoomSpec) -> ExtensionIds {
    let (video, layers) = (offered.kind == MediaKind::Video, !offered.rids.is_empty());
    let offered = &offered.extensions;
    let when = |wanted: bool, uri: &str| if wanted { id_of(offered, uri) } else { None };
    ExtensionIds {
        mid: id_of(offered, MID),
        rid: when(layers, RID),
        repaired_rid: when(layers, REPAIRED_RID),
        transport_cc: when(spec.transport_wide_cc_ext, TRANSPORT_CC),
        audio_level: when(!video && spec.audiolevel_ext, AUDIO_LEVEL),
        orientation: when(video && spec.videoorient_ext, ORIENTATION),
        playout_delay: when(video && spec.playoutdelay_ext, PLAYOUT_DELAY),
        dependency: when(matches!(codec, Codec::Av1 | Codec::Vp9), DEPENDENCY),
        abs_send_time: None,
    }
}

/// Of our offered extensions those that the answer has under the same id (RFC 8285 §5 forbids another).
pub(super) fn kept_extensions(offered: &ExtensionIds, answered: &[ExtensionMap]) -> ExtensionIds {
    let kept = |id: Option<u8>, uri: &str| id.filter(|id| id_of(answered, uri) == Some(*id));
    ExtensionIds {
        mid: kept(offered.mid, MID),
        audio_level: kept(offered.audio_level, AUDIO_LEVEL),
        abs_send_time: kept(offered.abs_send_time, ABS_SEND_TIME),
        transport_cc: kept(offered.transport_cc, TRANSPORT_CC),
        orientation: kept(offered.orientation, ORIENTATION),
        playout_delay: kept(offered.playout_delay, PLAYOUT_DELAY),
        ..ExtensionIds::default()
    }
}

/// The `a=extmap` lines of these ids, in order of id.
pub(super) fn extension_maps(ids: &ExtensionIds) -> Vec<ExtensionMap> {
    let named = [
        (ids.mid, MID),
        (ids.rid, RID),
        (ids.repaired_rid, REPAIRED_RID),
        (ids.audio_level, AUDIO_LEVEL),
        (ids.abs_send_time, ABS_SEND_TIME),
        (ids.transport_cc, TRANSPORT_CC),
        (ids.orientation, ORIENTATION),
        (ids.playout_delay, PLAYOUT_DELAY),
        (ids.dependency, DEPENDENCY),
    ];
    let mut maps: Vec<ExtensionMap> = named
        .into_iter()
        .filter_map(|(id, uri)| Some(ExtensionMap { id: id?, direction: None, uri: uri.into() }))
        .collect();
    maps.sort_by_key(|map| map.id);
    maps
}

/// The lines of these ids in an answer. What the offerer only sends we only receive, and that must be said (RFC 8285 §7).
pub(super) fn answered_maps(ids: &ExtensionIds, offered: &[ExtensionMap]) -> Vec<ExtensionMap> {
    let is_one_way = |map: &ExtensionMap| {
        offered.iter().any(|other| other.id == map.id && other.direction == Some(Direction::SendOnly))
    };
    let mut maps = extension_maps(ids);
    for map in &mut maps {
        map.direction = is_one_way(map).then_some(Direction::RecvOnly);
    }
    maps
}

fn id_of(extensions: &[ExtensionMap], uri: &str) -> Option<u8> {
    extensions.iter().find(|map| *map.uri == *uri).map(|map| map.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscribers_get_the_fixed_ids_of_what_the_publisher_has() {
        let spec = RoomSpec::new(1234.into());
        let publisher = ExtensionIds { orientation: Some(9), playout_delay: Some(5), ..ExtensionIds::default() };
        let video = subscriber_extensions(MediaKind::Video, &publisher, &spec);
        let ids: Vec<u8> = extension_maps(&video).iter().map(|map| map.id).collect();
        assert_eq!(ids, [2, 3, 4, 12, 13]);
        let audio = subscriber_extensions(MediaKind::Audio, &publisher, &spec);
        assert_eq!(extension_maps(&audio).iter().map(|map| map.id).collect::<Vec<_>>(), [3, 4]);
    }

    #[test]
    fn what_a_publisher_only_sends_is_answered_as_only_received() {
        let offered = |id, direction, uri: &str| ExtensionMap { id, direction, uri: uri.into() };
        let offered = [
            offered(1, Some(Direction::SendOnly), AUDIO_LEVEL),
            offered(4, Some(Direction::SendRecv), MID),
            offered(3, None, TRANSPORT_CC),
        ];
        let ids = ExtensionIds { audio_level: Some(1), mid: Some(4), transport_cc: Some(3), ..Default::default() };
        let answered: Vec<_> = answered_maps(&ids, &offered).into_iter().map(|map| (map.id, map.direction)).collect();
        assert_eq!(answered, [(1, Some(Direction::RecvOnly)), (3, None), (4, None)]);
    }

    #[test]
    fn transport_cc_toward_subscribers_is_the_rooms_choice() {
        let mut spec = RoomSpec::new(1234.into());
        spec.transport_wide_cc_ext = false;
        assert_eq!(subscriber_extensions(MediaKind::Video, &ExtensionIds::default(), &spec).transport_cc, None);
    }

    #[test]
    fn an_answer_keeps_an_extension_only_under_the_id_that_was_offered() {
        let offered = ExtensionIds { mid: Some(4), abs_send_time: Some(2), ..ExtensionIds::default() };
        let answered = [
            ExtensionMap { id: 7, direction: None, uri: MID.into() },
            ExtensionMap { id: 2, direction: None, uri: ABS_SEND_TIME.into() },
            ExtensionMap { id: 13, direction: None, uri: ORIENTATION.into() },
        ];
        let kept = kept_extensions(&offered, &answered);
        assert_eq!(kept, ExtensionIds { abs_send_time: Some(2), ..ExtensionIds::default() });
    }
}
