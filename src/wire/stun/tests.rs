//! Published vectors (RFC 5769), round trips, hostile bytes, and an independent implementation to agree with.

use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;
use crate::wire::error::WireError;

/// RFC 5769 §2: the transaction id and password of all three messages.
const TRANSACTION: TransactionId = TransactionId(*b"\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae");
const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";

/// RFC 5769 §2.1.
const REQUEST: &[u8] = b"\x00\x01\x00\x58\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
    \x80\x22\x00\x10STUN test client\x00\x24\x00\x04\x6e\x00\x01\xff\
    \x80\x29\x00\x08\x93\x2f\xf9\xb1\x51\x26\x3b\x36\x00\x06\x00\x09\x65\x76\x74\x6a\x3a\x68\x36\x76\x59\x20\x20\x20\
    \x00\x08\x00\x14\x9a\xea\xa7\x0c\xbf\xd8\xcb\x56\x78\x1e\xf2\xb5\xb2\xd3\xf2\x49\xc1\xb5\x71\xa2\
    \x80\x28\x00\x04\xe5\x7a\x3b\xcf";
/// RFC 5769 §2.2.
const RESPONSE_V4: &[u8] = b"\x01\x01\x00\x3c\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
    \x80\x22\x00\x0btest vector\x20\x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43\
    \x00\x08\x00\x14\x2b\x91\xf5\x99\xfd\x9e\x90\xc3\x8c\x74\x89\xf9\x2a\xf9\xba\x53\xf0\x6b\xe7\xd7\
    \x80\x28\x00\x04\xc0\x7d\x4c\x96";
/// RFC 5769 §2.3.
const RESPONSE_V6: &[u8] = b"\x01\x01\x00\x48\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
    \x80\x22\x00\x0btest vector\x20\x00\x20\x00\x14\x00\x02\xa1\x47\x01\x13\xa9\xfa\xa5\xd3\xf1\x79\xbc\x25\xf4\xb5\
    \xbe\xd2\xb9\xd9\x00\x08\x00\x14\xa3\x82\x95\x4e\x4b\xe6\x7b\xf1\x17\x84\xc9\x7c\x82\x92\xc2\x75\xbf\xe3\xed\x41\
    \x80\x28\x00\x04\xc8\xfb\x0b\x4c";

#[test]
fn the_sample_request_of_rfc_5769_is_understood_and_verified() {
    let message = Message::parse(REQUEST).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Request, Method::BINDING));
    assert_eq!(message.transaction(), TRANSACTION);
    assert_eq!(message.username(), Some(("evtj", "h6vY")));
    assert_eq!(message.priority(), Some(0x6e00_01ff));
    assert_eq!(message.role(), Some(Role::Controlled(0x932f_f9b1_5126_3b36)));
    assert!(!message.use_candidate());
    assert!(message.unknown_attributes().is_empty());
    assert!(message.verify_fingerprint());
    assert!(message.verify_integrity(&Key::short_term(PASSWORD)));
    assert!(!message.verify_integrity(&Key::short_term("VOkJxbRl1RmTxUk/WvJxBu")));
}

#[test]
fn the_sample_responses_of_rfc_5769_are_understood_and_verified() {
    let addresses = ["192.0.2.1:32853", "[2001:db8:1234:5678:11:2233:4455:6677]:32853"];
    for (bytes, address) in [RESPONSE_V4, RESPONSE_V6].into_iter().zip(addresses) {
        let message = Message::parse(bytes).unwrap();
        assert_eq!((message.class(), message.method()), (Class::Success, Method::BINDING));
        assert_eq!(message.transaction(), TRANSACTION);
        assert_eq!(message.xor_mapped_address(), Some(address.parse().unwrap()));
        assert!(message.verify_fingerprint());
        assert!(message.verify_integrity(&Key::short_term(PASSWORD)));
    }
}

#[test]
fn one_changed_bit_anywhere_in_a_signed_message_is_noticed() {
    let key = Key::short_term(PASSWORD);
    for bit in 0..REQUEST.len() * 8 {
        let mut bytes = REQUEST.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let believed = |message: Message<'_>| message.verify_fingerprint() && message.verify_integrity(&key);
        assert!(!Message::parse(&bytes).is_ok_and(believed), "bit {bit}");
    }
}

#[test]
fn a_message_without_the_two_checks_passes_neither() {
    let mut buffer = [0; 64];
    let composer = Composer::new(&mut buffer, Class::Request, Method::BINDING, TRANSACTION).unwrap();
    let length = composer.finish();
    let message = Message::parse(&buffer[..length]).unwrap();
    assert!(!message.verify_fingerprint());
    assert!(!message.verify_integrity(&Key::short_term(PASSWORD)));
}

#[test]
fn what_stands_behind_message_integrity_is_ignored() {
    let key = Key::short_term(PASSWORD);
    let mut buffer = [0; 128];
    let mut composer = Composer::new(&mut buffer, Class::Request, Method::BINDING, TRANSACTION).unwrap();
    composer.attribute(AttributeType::USERNAME, &[b"abcd:efgh"]).unwrap();
    composer.message_integrity(&key).unwrap();
    composer.attribute(AttributeType::USE_CANDIDATE, &[]).unwrap();
    composer.attribute(AttributeType(0x7777), &[b"?"]).unwrap();
    composer.message_integrity(&Key::short_term("another")).unwrap();
    let length = composer.fingerprint().unwrap();
    let message = Message::parse(&buffer[..length]).unwrap();
    assert!(!message.use_candidate());
    assert!(message.unknown_attributes().is_empty());
    assert!(message.verify_integrity(&key) && message.verify_fingerprint());
}

#[test]
fn of_an_attribute_that_appears_twice_the_first_counts() {
    let mut buffer = [0; 128];
    let mut composer = Composer::new(&mut buffer, Class::Request, Method::BINDING, TRANSACTION).unwrap();
    for (username, priority) in [("abcd:x:y", 1_u32), ("efgh:z", 2)] {
        composer.attribute(AttributeType::USERNAME, &[username.as_bytes()]).unwrap();
        composer.attribute(AttributeType::PRIORITY, &[&priority.to_be_bytes()]).unwrap();
    }
    let length = composer.finish();
    let message = Message::parse(&buffer[..length]).unwrap();
    assert_eq!(message.username(), Some(("abcd", "x:y")));
    assert_eq!(message.priority(), Some(1));
}

#[test]
fn unknown_attributes_are_remembered_only_where_comprehension_is_required() {
    let mut buffer = [0; 128];
    let mut composer = Composer::new(&mut buffer, Class::Request, Method::BINDING, TRANSACTION).unwrap();
    for kind in [0x7777, 0xC057, 0x0003] {
        composer.attribute(AttributeType(kind), &[b"value"]).unwrap();
    }
    let length = composer.finish();
    let message = Message::parse(&buffer[..length]).unwrap();
    assert_eq!(message.unknown_attributes(), [AttributeType(0x7777), AttributeType(0x0003)]);
}

#[test]
fn what_is_not_well_formed_is_refused_by_name() {
    let refusal = |bytes: &[u8]| Message::parse(bytes).unwrap_err();
    let changed = |index: usize, byte: u8| {
        let mut bytes = REQUEST.to_vec();
        bytes[index] = byte;
        Message::parse(&bytes).unwrap_err()
    };
    assert_eq!(refusal(&[]), WireError::Truncated("STUN header"));
    assert_eq!(refusal(&REQUEST[..19]), WireError::Truncated("STUN header"));
    assert_eq!(refusal(&REQUEST[..104]), WireError::BadLength("STUN message"));
    assert_eq!(refusal(&[REQUEST, &[0; 4]].concat()), WireError::BadLength("STUN message"));
    assert_eq!(changed(0, 0x80), WireError::BadValue("STUN message type"));
    assert_eq!(changed(3, 0x57), WireError::BadLength("STUN message"));
    assert_eq!(changed(4, 0x22), WireError::BadValue("STUN magic cookie"));
    assert_eq!(changed(22, 0xff), WireError::Truncated("STUN attribute"));
    assert_eq!(changed(43, 3), WireError::BadLength("PRIORITY"));
    assert_eq!(changed(64, 0xff), WireError::BadValue("USERNAME"));
}

#[test]
fn nothing_may_follow_the_fingerprint_and_attributes_are_counted() {
    let mut bytes = [REQUEST, b"\x80\x22\x00\x00"].concat();
    bytes[3] += 4;
    assert_eq!(Message::parse(&bytes).unwrap_err(), WireError::Trailing("FINGERPRINT"));

    let mut buffer = [0; 256];
    let mut composer = Composer::new(&mut buffer, Class::Request, Method::BINDING, TRANSACTION).unwrap();
    for _ in 0..32 {
        composer.attribute(AttributeType(0x8022), &[]).unwrap();
    }
    let length = composer.finish();
    assert!(Message::parse(&buffer[..length]).is_ok());
    buffer[3] += 4;
    let refusal = Message::parse(&buffer[..length + 4]).unwrap_err();
    assert_eq!(refusal, WireError::BadLength("STUN attribute list"));
}

#[test]
fn the_message_type_is_the_one_of_the_registry() {
    let kinds = [
        (Class::Request, 0x001, 0x0001),
        (Class::Indication, 0x001, 0x0011),
        (Class::Success, 0x001, 0x0101),
        (Class::Error, 0x001, 0x0111),
        (Class::Error, 0x009, 0x0119),
        (Class::Request, 0xFFF, 0x3EEF),
    ];
    for (class, method, bits) in kinds {
        let mut bytes = [0; 20];
        Composer::new(&mut bytes, class, Method(method), TRANSACTION).unwrap();
        assert_eq!(bytes[..2], u16::to_be_bytes(bits));
        let message = Message::parse(&bytes).unwrap();
        assert_eq!((message.class(), message.method()), (class, Method(method)));
    }
}

#[test]
fn error_answers_carry_code_reason_and_what_was_unknown() {
    let key = Key::short_term(PASSWORD);
    let codes =
        [ErrorCode::BadRequest, ErrorCode::Unauthenticated, ErrorCode::UnknownAttribute, ErrorCode::RoleConflict];
    for (code, number) in codes.into_iter().zip([400, 401, 420, 487]) {
        let unknown = [AttributeType(0x7701); 9];
        let mut out = [0; REPLY_MAX];
        let length = binding_error(&mut out, TRANSACTION, code, &unknown, Some(&key)).unwrap();
        let message = Message::parse(&out[..length]).unwrap();
        assert_eq!((message.class(), message.error_code()), (Class::Error, Some(number)));
        assert!(message.verify_integrity(&key) && message.verify_fingerprint());
        assert!(out.windows(code.reason().len()).any(|window| window == code.reason().as_bytes()));
        assert!(out.windows(20).any(|window| window == [&[0, 10, 0, 16][..], &[0x77, 1].repeat(8)].concat()));
        assert_eq!(length == REPLY_MAX, code == ErrorCode::UnknownAttribute);

        let length = binding_error(&mut out, TRANSACTION, code, &[], None).unwrap();
        let message = Message::parse(&out[..length]).unwrap();
        assert!(!message.verify_integrity(&key) && message.verify_fingerprint());
    }
}

#[test]
fn a_slice_that_is_too_short_is_an_error_at_every_length() {
    let key = Key::short_term(PASSWORD);
    let mapped = "[2001:db8::1]:9".parse().unwrap();
    let whole = binding_success(&mut [0; REPLY_MAX], TRANSACTION, mapped, &key).unwrap();
    for length in 0..whole {
        let refusal = binding_success(&mut vec![0; length], TRANSACTION, mapped, &key).unwrap_err();
        assert_eq!(refusal, WireError::NoSpace("STUN message"));
    }
}

/// HMAC-SHA1 as str0m's parser wants it handed in.
fn hmac_sha1(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
    use aws_lc_rs::hmac;
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    hmac::sign(&key, &parts.concat()).as_ref().try_into().unwrap()
}

fn requests() -> impl Strategy<Value = ([u8; 12], String, String, u32, u64, bool, bool)> {
    let ufrag = "[a-zA-Z0-9+/]{4,32}";
    (any::<[u8; 12]>(), ufrag, ufrag, any::<u32>(), any::<u64>(), any::<bool>(), any::<bool>())
}

proptest! {
    #[test]
    fn a_composed_request_reads_back_here_and_elsewhere(
        (transaction, remote, local, priority, tie_breaker, controlling, use_candidate) in requests()
    ) {
        let role = if controlling { Role::Controlling(tie_breaker) } else { Role::Controlled(tie_breaker) };
        let transaction = TransactionId(transaction);
        let (remote_ufrag, local_ufrag) = (remote.as_str(), local.as_str());
        let request = BindingRequest { transaction, remote_ufrag, local_ufrag, priority, role, use_candidate };
        let key = Key::short_term(PASSWORD);
        let mut buffer = [0; 256];
        let length = request.compose(&mut buffer, &key).unwrap();

        let message = Message::parse(&buffer[..length]).unwrap();
        prop_assert_eq!((message.class(), message.method()), (Class::Request, Method::BINDING));
        prop_assert_eq!(message.transaction(), transaction);
        prop_assert_eq!(message.username(), Some((remote_ufrag, local_ufrag)));
        prop_assert_eq!(message.priority(), Some(priority));
        prop_assert_eq!(message.role(), Some(role));
        prop_assert_eq!(message.use_candidate(), use_candidate);
        prop_assert!(message.verify_fingerprint() && message.verify_integrity(&key));

        let theirs = str0m::ice::StunMessage::parse(&buffer[..length]).unwrap();
        prop_assert!(theirs.is_binding_request());
        prop_assert_eq!(theirs.split_username(), Some((remote_ufrag, local_ufrag)));
        prop_assert_eq!(theirs.prio(), Some(priority));
        prop_assert_eq!(theirs.use_candidate(), use_candidate);
        prop_assert_eq!(theirs.ice_controlling(), controlling.then_some(tie_breaker));
        prop_assert_eq!(theirs.ice_controlled(), (!controlling).then_some(tie_breaker));
        prop_assert!(theirs.verify(PASSWORD.as_bytes(), hmac_sha1));
    }

    #[test]
    fn a_composed_answer_reads_back_here_and_elsewhere(transaction: [u8; 12], mapped: SocketAddr) {
        // Flow label and scope do not travel.
        let mapped = SocketAddr::new(mapped.ip(), mapped.port());
        let key = Key::short_term(PASSWORD);
        let mut out = [0; REPLY_MAX];
        let length = binding_success(&mut out, TransactionId(transaction), mapped, &key).unwrap();

        let message = Message::parse(&out[..length]).unwrap();
        prop_assert_eq!(message.class(), Class::Success);
        prop_assert_eq!(message.xor_mapped_address(), Some(mapped));
        prop_assert!(message.verify_fingerprint() && message.verify_integrity(&key));

        let theirs = str0m::ice::StunMessage::parse(&out[..length]).unwrap();
        prop_assert!(theirs.is_successful_binding_response());
        prop_assert_eq!(theirs.mapped_address(), Some(mapped));
        prop_assert!(theirs.verify(PASSWORD.as_bytes(), hmac_sha1));
    }

    #[test]
    fn a_request_composed_elsewhere_reads_back_here(
        (_, remote, local, priority, tie_breaker, controlling, use_candidate) in requests()
    ) {
        use str0m::ice::{StunMessage, TransId};
        let username = format!("{remote}:{local}");
        let theirs = StunMessage::binding_request(
            &username, TransId::new(), controlling, tie_breaker, priority, use_candidate,
        );
        let mut buffer = [0; 256];
        let length = theirs.to_bytes(Some(PASSWORD.as_bytes()), &mut buffer, hmac_sha1).unwrap();
        let message = Message::parse(&buffer[..length]).unwrap();
        prop_assert_eq!(message.username(), Some((remote.as_str(), local.as_str())));
        prop_assert_eq!(message.priority(), Some(priority));
        prop_assert_eq!(message.use_candidate(), use_candidate);
        prop_assert!(message.verify_fingerprint() && message.verify_integrity(&Key::short_term(PASSWORD)));
    }

    #[test]
    fn no_bytes_can_make_the_parser_panic(
        base in prop::sample::select(vec![REQUEST, RESPONSE_V4, RESPONSE_V6]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        cut in any::<prop::sample::Index>(),
        whole: bool,
    ) {
        let mut bytes = base.to_vec();
        for (index, byte) in changes {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        if !whole {
            bytes.truncate(cut.index(base.len()));
            if let Ok(length) = u16::try_from(bytes.len().saturating_sub(HEADER_BYTES)) && bytes.len() >= 4 {
                bytes[2..4].copy_from_slice(&length.to_be_bytes());
            }
        }
        if let Ok(message) = Message::parse(&bytes) {
            message.verify_fingerprint();
            message.verify_integrity(&Key::short_term(PASSWORD));
        }
    }

    #[test]
    fn any_bytes_behind_a_right_header_parse_or_are_refused(mut body in prop::collection::vec(any::<u8>(), 0..400)) {
        body.truncate(body.len() & !3);
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        let bytes = [&[0, 1], &length[..], &REQUEST[4..20], &body].concat();
        if let Ok(message) = Message::parse(&bytes) {
            message.verify_integrity(&Key::short_term(PASSWORD));
        }
    }
}
