//! NAL unit types of H.264 payloads, alone, aggregated and at the start of fragments: as much as tells where decoding
//! can begin (RFC 6184 §5.2, ITU-T H.264 §7.4.1).

use super::EntryPoint;
use crate::wire::reader::Reader;

/// What of an entry point the payload has: a sequence parameter set anywhere in it, or the first slice of an IDR picture.
pub fn entry_point(payload: &[u8]) -> Option<EntryPoint> {
    let (&header, rest) = payload.split_first()?;
    match header & TYPE {
        STAP_A => aggregated(rest, 0),
        // STAP-B and the MTAPs carry a 16-bit decoding order number, and the MTAPs one octet and an offset per unit.
        STAP_B => aggregated(rest.get(2..)?, 0),
        MTAP16 => aggregated(rest.get(2..)?, 3),
        MTAP24 => aggregated(rest.get(2..)?, 4),
        FU_A | FU_B => {
            let (&fu, rest) = rest.split_first()?;
            // An FU-B, always a first fragment, has a decoding order number before the unit.
            let unit = if header & TYPE == FU_B { rest.get(2..)? } else { rest };
            if fu & START != 0 { of_unit(fu & TYPE, unit) } else { None }
        }
        kind => of_unit(kind, rest),
    }
}

/// Whether a `sprop-parameter-sets` has what a picture needs: a sequence and a picture parameter set, each in base64
/// (RFC 6184 §8.1).
pub fn are_parameter_sets(sprop: &str) -> bool {
    let has = |wanted: u8| {
        sprop.split(',').any(|unit| base64_first(unit.trim()).is_some_and(|header| header & TYPE == wanted))
    };
    has(SPS) && has(PPS)
}

/// The first octet of a base64 text (RFC 4648 §4): six bits of the first digit and two of the second.
fn base64_first(text: &str) -> Option<u8> {
    let digit = |at: usize| match *text.as_bytes().get(at)? {
        letter @ b'A'..=b'Z' => Some(letter - b'A'),
        letter @ b'a'..=b'z' => Some(letter - b'a' + 26),
        number @ b'0'..=b'9' => Some(number - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    Some(digit(0)? << 2 | digit(1)? >> 4)
}

/// Units behind 16-bit sizes; each has `before` octets of its own in front.
fn aggregated(units: &[u8], before: usize) -> Option<EntryPoint> {
    const WHAT: &str = "H264 aggregation unit";
    let mut r = Reader::new(units);
    let mut found: Option<EntryPoint> = None;
    while let Ok(unit) = r.u16(WHAT).and_then(|len| {
        r.take(before, WHAT)?;
        r.take(usize::from(len), WHAT)
    }) {
        let here = unit.split_first().and_then(|(&header, rest)| of_unit(header & TYPE, rest));
        found = here.map(|here| here.or(found)).or(found);
    }
    found
}

/// `rest` is the unit without its header. A slice begins with `first_mb_in_slice`, Exp-Golomb: 0 is a single 1 bit.
fn of_unit(kind: u8, rest: &[u8]) -> Option<EntryPoint> {
    match kind {
        SPS => Some(EntryPoint::ParameterSets),
        IDR => rest.first().filter(|first| **first & 0x80 != 0).map(|_| EntryPoint::Picture),
        _ => None,
    }
}

const TYPE: u8 = 0x1f;
const START: u8 = 0x80;
const IDR: u8 = 5;
const SPS: u8 = 7;
const PPS: u8 = 8;
const STAP_A: u8 = 24;
const STAP_B: u8 = 25;
const MTAP16: u8 = 26;
const MTAP24: u8 = 27;
const FU_A: u8 = 28;
const FU_B: u8 = 29;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PARAMETER_SETS: Option<EntryPoint> = Some(EntryPoint::ParameterSets);
    const PICTURE: Option<EntryPoint> = Some(EntryPoint::Picture);
    const SPS_UNIT: [u8; 9] = [0x67, 0x42, 0xc0, 0x1f, 0x8c, 0x8d, 0x40, 0x50, 0x1e];
    const PPS_UNIT: [u8; 4] = [0x68, 0xce, 0x3c, 0x80];
    const IDR_UNIT: [u8; 4] = [0x65, 0xb8, 0x00, 0x04];

    fn stap_a(units: &[&[u8]]) -> Vec<u8> {
        let sized = units.iter().flat_map(|unit| [&[0, u8::try_from(unit.len()).unwrap()], *unit].concat());
        std::iter::once(0x78).chain(sized).collect()
    }

    #[test]
    fn parameter_sets_are_seen_alone_aggregated_and_fragmented() {
        assert_eq!(entry_point(&SPS_UNIT), PARAMETER_SETS);
        assert_eq!(entry_point(&stap_a(&[&SPS_UNIT, &PPS_UNIT])), PARAMETER_SETS, "as Chromium sends them");
        assert_eq!(
            entry_point(&stap_a(&[&[0x06, 0x05], &SPS_UNIT, &PPS_UNIT, &IDR_UNIT])),
            PARAMETER_SETS,
            "behind an SEI"
        );
        assert_eq!(entry_point(&stap_a(&[&IDR_UNIT, &SPS_UNIT])), PARAMETER_SETS, "in any order");
        assert_eq!(entry_point(&[0x7c, 0x87, 0x42, 0xc0]), PARAMETER_SETS, "FU-A, S");
        assert_eq!(entry_point(&[0x7c, 0x07, 0x42, 0xc0]), None, "FU-A, in the middle");
        assert_eq!(entry_point(&PPS_UNIT), None, "a picture parameter set alone begins nothing");
    }

    #[test]
    fn an_idr_picture_is_seen_at_its_first_slice_only() {
        assert_eq!(entry_point(&IDR_UNIT), PICTURE);
        assert_eq!(entry_point(&stap_a(&[&PPS_UNIT, &IDR_UNIT])), PICTURE);
        assert_eq!(entry_point(&[0x7c, 0x85, 0xb8, 0x00]), PICTURE, "FU-A, S");
        assert_eq!(entry_point(&[0x7c, 0x45, 0xb8, 0x00]), None, "FU-A, E");
        assert_eq!(entry_point(&[0x65, 0x42, 0x00]), None, "first_mb_in_slice is not 0");
        assert_eq!(entry_point(&[0x7d, 0x85, 0, 1, 0xb8]), PICTURE, "FU-B");
        assert_eq!(entry_point(&[0x41, 0x9a, 0x24]), None, "a slice of another picture");
    }

    #[test]
    fn interleaved_aggregates_are_read_past_their_order_numbers() {
        let sized = [&[0, 9][..], &SPS_UNIT].concat();
        assert_eq!(entry_point(&[&[0x79, 0, 1][..], &sized].concat()), PARAMETER_SETS, "STAP-B");
        let mtap = |kind: u8, before: &[u8]| [&[kind, 0, 1, 0, 9][..], before, &SPS_UNIT].concat();
        assert_eq!(entry_point(&mtap(0x7a, &[0, 0, 0])), PARAMETER_SETS, "MTAP16");
        assert_eq!(entry_point(&mtap(0x7b, &[0, 0, 0, 0])), PARAMETER_SETS, "MTAP24");
    }

    #[test]
    fn a_description_has_the_parameter_sets_when_it_has_both() {
        assert!(are_parameter_sets("Z0LAH9kAUAW7ARAAAAMAEAAAAwPI8YMkgA==,aMuDyyA="));
        assert!(are_parameter_sets("KM4C0g==, J2QAKKwbGoB4Ah+WGggA"), "of another reference idc, in any order");
        for lacking in ["", ",", "Z", "Z0LAHw==", "aM48gA==", "?0LAHw==,aM48gA==", "Z0LAHw==,Z0LAHw=="] {
            assert!(!are_parameter_sets(lacking), "{lacking}");
        }
    }

    #[test]
    fn what_ends_early_is_no_entry() {
        assert_eq!(entry_point(&[]), None);
        assert_eq!(entry_point(&[0x78, 0]), None);
        assert_eq!(entry_point(&[0x78, 0, 9, 0x67]), None, "a unit longer than the payload");
        assert_eq!(entry_point(&[0x7c]), None);
        assert_eq!(entry_point(&[0x65]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_can_make_it_panic(payload in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = entry_point(&payload);
        }
    }
}
