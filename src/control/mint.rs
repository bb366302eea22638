//! Random names: of rooms, by their registrar, and of participants, by their room. Whether a name is free is for the
//! caller to check.

use rand_chacha::rand_core::Rng;

use crate::id::Name;

/// A random name: 1 ..= 2^53-1, which every JavaScript number holds exactly, or the text of a version 4 UUID
/// (RFC 9562 §5.4).
pub fn mint(text: bool, rng: &mut impl Rng) -> Name {
    if text {
        return Name::Text(uuid(rng).into());
    }
    loop {
        let number = rng.next_u64() >> 11;
        if number != 0 {
            return Name::Number(number);
        }
    }
}

fn uuid(rng: &mut impl Rng) -> String {
    let mut bytes = [0; 16];
    rng.fill_bytes(&mut bytes);
    let bits = u128::from_be_bytes(bytes) & !(0xf << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    #[test]
    fn numbers_are_positive_and_fit_a_javascript_number() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        for _ in 0..1000 {
            let Name::Number(number) = mint(false, &mut rng) else { panic!("asked for a number") };
            assert!((1..1 << 53).contains(&number));
        }
    }

    #[test]
    fn texts_have_the_form_of_a_version_4_uuid() {
        let mut rng = ChaCha20Rng::from_seed([2; 32]);
        for _ in 0..100 {
            let Name::Text(text) = mint(true, &mut rng) else { panic!("asked for a text") };
            let groups: Vec<&str> = text.split('-').collect();
            assert_eq!(groups.iter().map(|group| group.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
            assert!(groups[2].starts_with('4'));
            assert!(groups[3].starts_with(['8', '9', 'a', 'b']));
        }
    }
}
