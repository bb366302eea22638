//! STUN messages: whatever parses answers every question about it, and nobody without the password is answered.

use portunus::id::{FourTuple, SocketId};
use portunus::proto::ice::{CheckOutcome, Credentials, IceAgent};
use portunus::time::Mono;
use portunus::wire::stun::{Key, Message, REPLY_MAX, binding_success};

/// One datagram.
pub fn run(data: &[u8]) {
    let Ok(message) = Message::parse(data) else { return };
    assert_eq!(data.len() % 4, 0, "RFC 8489 §5: a message is a multiple of four bytes");
    let key = Key::short_term(PASSWORD);
    let _ = (message.verify_fingerprint(), message.priority(), message.use_candidate(), message.unknown_attributes());
    assert!(message.error_code().is_none_or(|code| (300..700).contains(&code)));
    assert!(!message.verify_integrity(&key), "a tag under a key that no seed was made with");

    if let Some(address) = message.xor_mapped_address() {
        let mut out = [0; REPLY_MAX];
        let len = binding_success(&mut out, message.transaction(), address, &key).expect("REPLY_MAX suffices");
        let answer = Message::parse(&out[..len]).expect("our answer is well formed");
        // Flow label and scope of an IPv6 address are not on the wire.
        let wire = |address: std::net::SocketAddr| (address.ip(), address.port());
        assert_eq!(answer.xor_mapped_address().map(wire), Some(wire(address)));
        assert!(answer.verify_integrity(&key) && answer.verify_fingerprint());
    }

    // The ufrag is the sender's guess; even the right one is not enough.
    let ufrag = message.username().map_or("ufrag", |(ours, _)| ours);
    let Ok(local) = Credentials::new(ufrag, PASSWORD) else { return };
    let mut agent = IceAgent::new(local);
    let from = FourTuple { socket: SocketId(0), remote: ([192, 0, 2, 1], 5000).into() };
    let outcome = agent.handle_request(Mono(1), from, &message, &mut [0; REPLY_MAX]);
    assert!(matches!(outcome, CheckOutcome::Refused { reply: 0, .. }), "an unauthenticated sender is not answered");
    assert_eq!(agent.selected(), None);
}

const PASSWORD: &str = "noSeedWasSignedWithThis+";
