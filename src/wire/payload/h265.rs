//! NAL unit types of H.265 payloads, alone, aggregated and at the start of fragments: as much as tells where decoding
//! can begin (RFC 7798 §4.4, ITU-T H.265 §7.4.2.2). DONL fields are not expected: no browser negotiates them.

use super::EntryPoint;
use crate::wire::reader::Reader;

/// What of an entry point the payload has: a parameter set anywhere in it, or the first slice of an IRAP picture.
pub fn entry_point(payload: &[u8]) -> Option<EntryPoint> {
    let (header, rest) = payload.split_first_chunk::<2>()?;
    match kind(header) {
        AGGREGATION => aggregated(rest),
        FRAGMENTATION => {
            let (&fu, rest) = rest.split_first()?;
            if fu & START != 0 { of_unit(fu & 0x3f, rest) } else { None }
        }
        kind => of_unit(kind, rest),
    }
}

fn aggregated(units: &[u8]) -> Option<EntryPoint> {
    const WHAT: &str = "H265 aggregation unit";
    let mut r = Reader::new(units);
    let mut found: Option<EntryPoint> = None;
    while let Ok(unit) = r.u16(WHAT).and_then(|len| r.take(usize::from(len), WHAT)) {
        let here = unit.split_first_chunk::<2>().and_then(|(header, rest)| of_unit(kind(header), rest));
        found = here.map(|here| here.or(found)).or(found);
    }
    found
}

/// `rest` is the unit without its header. A slice begins with `first_slice_segment_in_pic_flag`.
fn of_unit(kind: u8, rest: &[u8]) -> Option<EntryPoint> {
    match kind {
        VPS..=PPS => Some(EntryPoint::ParameterSets),
        BLA_W_LP..=RSV_IRAP_VCL23 => rest.first().filter(|first| **first & 0x80 != 0).map(|_| EntryPoint::Picture),
        _ => None,
    }
}

fn kind(header: &[u8; 2]) -> u8 {
    header[0] >> 1 & 0x3f
}

const START: u8 = 0x80;
const BLA_W_LP: u8 = 16;
const RSV_IRAP_VCL23: u8 = 23;
const VPS: u8 = 32;
const PPS: u8 = 34;
const AGGREGATION: u8 = 48;
const FRAGMENTATION: u8 = 49;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PARAMETER_SETS: Option<EntryPoint> = Some(EntryPoint::ParameterSets);
    const PICTURE: Option<EntryPoint> = Some(EntryPoint::Picture);

    fn unit(kind: u8, rest: &[u8]) -> Vec<u8> {
        [&[kind << 1, 1][..], rest].concat()
    }

    fn aggregate(units: &[Vec<u8>]) -> Vec<u8> {
        let sized = units.iter().flat_map(|unit| [&[0, u8::try_from(unit.len()).unwrap()], &unit[..]].concat());
        unit(48, &sized.collect::<Vec<_>>())
    }

    #[test]
    fn parameter_sets_are_seen_alone_aggregated_and_fragmented() {
        for kind in 32..=34 {
            assert_eq!(entry_point(&unit(kind, &[0x0c])), PARAMETER_SETS, "type {kind}");
        }
        let all = [unit(32, &[1]), unit(33, &[1]), unit(34, &[0xc1]), unit(19, &[0xaf])];
        assert_eq!(entry_point(&aggregate(&all)), PARAMETER_SETS);
        assert_eq!(entry_point(&aggregate(&all[3..])), PICTURE);
        assert_eq!(entry_point(&unit(49, &[0x80 | 33, 1])), PARAMETER_SETS, "FU, S");
        assert_eq!(entry_point(&unit(49, &[33, 1])), None, "FU, in the middle");
        assert_eq!(entry_point(&unit(35, &[0x50])), None, "an access unit delimiter");
    }

    #[test]
    fn an_irap_picture_is_seen_at_its_first_slice_only() {
        for kind in 0..32 {
            let expected = (16..=23).contains(&kind).then_some(EntryPoint::Picture);
            assert_eq!(entry_point(&unit(kind, &[0xaf])), expected, "type {kind}");
            assert_eq!(entry_point(&unit(49, &[0x80 | kind, 0xaf])), expected, "type {kind}, fragmented");
            assert_eq!(entry_point(&unit(kind, &[0x2f])), None, "a later slice");
        }
    }

    #[test]
    fn what_ends_early_is_no_entry() {
        assert_eq!(entry_point(&[]), None);
        assert_eq!(entry_point(&[0x40]), None);
        assert_eq!(entry_point(&unit(49, &[])), None);
        assert_eq!(entry_point(&unit(48, &[0, 9, 0x40, 1])), None, "a unit longer than the payload");
        assert_eq!(entry_point(&unit(19, &[])), None);
    }

    proptest! {
        #[test]
        fn no_bytes_can_make_it_panic(payload in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = entry_point(&payload);
        }
    }
}
