//! What the lite agent believes, remembers and answers, told from the side of a full agent.

use proptest::prelude::*;

use super::*;
use crate::id::SocketId;
use crate::limits::TUPLES_PER_PEER;
use crate::wire::stun::{AttributeType, BindingRequest, Composer, REPLY_MAX, TransactionId};

const PASSWORD: &str = "a-password-of-the-server";
const TRANSACTION: TransactionId = TransactionId(*b"transaction!");

fn credentials(ufrag: &str) -> Credentials {
    Credentials::new(ufrag, &PASSWORD.replace('-', "+")).unwrap()
}

fn agent() -> IceAgent {
    let mut agent = IceAgent::new(credentials("ours"));
    agent.set_remote(&remote("peer"));
    agent
}

fn tuple(port: u16) -> FourTuple {
    FourTuple { socket: SocketId(0), remote: ([192, 0, 2, 1], port).into() }
}

fn accepts(agent: &IceAgent, tuple: FourTuple) -> bool {
    agent.tuples().any(|known| known == tuple)
}

fn remote(ufrag: &str) -> Credentials {
    Credentials::new(ufrag, &"p".repeat(22)).unwrap()
}

fn at(seconds: u64) -> Mono {
    Mono::default() + Duration::from_secs(seconds)
}

/// One check of the peer, ordinary unless changed.
#[derive(Clone)]
struct Check<'a> {
    request: BindingRequest<'a>,
    password: String,
}

const ORDINARY: BindingRequest<'static> = BindingRequest {
    transaction: TRANSACTION,
    remote_ufrag: "ours",
    local_ufrag: "peer",
    priority: 1,
    role: Role::Controlling(7),
    use_candidate: false,
};

impl Check<'_> {
    fn of(request: BindingRequest<'_>) -> Check<'_> {
        Check { request, password: PASSWORD.replace('-', "+") }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut buffer = vec![0; 1024];
        let length = self.request.compose(&mut buffer, &Key::short_term(&self.password)).unwrap();
        buffer.truncate(length);
        buffer
    }

    fn arrive(&self, agent: &mut IceAgent, seconds: u64, port: u16) -> (CheckOutcome, Vec<u8>) {
        deliver(agent, seconds, port, &self.bytes())
    }
}

fn deliver(agent: &mut IceAgent, seconds: u64, port: u16, bytes: &[u8]) -> (CheckOutcome, Vec<u8>) {
    let mut out = vec![0; REPLY_MAX];
    let message = Message::parse(bytes).unwrap();
    let outcome = agent.handle_request(at(seconds), tuple(port), &message, &mut out);
    let (CheckOutcome::Answered { reply, .. } | CheckOutcome::Refused { reply, .. }) = outcome;
    out.truncate(reply);
    (outcome, out)
}

fn change(outcome: (CheckOutcome, Vec<u8>)) -> Change {
    match outcome.0 {
        CheckOutcome::Answered { change, .. } => change,
        refused => panic!("{refused:?}"),
    }
}

fn check(agent: &mut IceAgent, seconds: u64, port: u16) -> Change {
    change(Check::of(ORDINARY).arrive(agent, seconds, port))
}

fn nominate(agent: &mut IceAgent, seconds: u64, port: u16) -> Change {
    change(Check::of(BindingRequest { use_candidate: true, ..ORDINARY }).arrive(agent, seconds, port))
}

#[test]
fn a_believed_check_is_answered_with_the_address_it_came_from() {
    let mut agent = agent();
    let (outcome, reply) = Check::of(ORDINARY).arrive(&mut agent, 0, 1000);
    let change = Change { validated: true, selected: true, ..Change::default() };
    assert_eq!(outcome, CheckOutcome::Answered { reply: reply.len(), change });
    let answer = Message::parse(&reply).unwrap();
    assert_eq!((answer.class(), answer.transaction()), (Class::Success, TRANSACTION));
    assert_eq!(answer.xor_mapped_address(), Some(tuple(1000).remote));
    assert!(answer.verify_fingerprint() && answer.verify_integrity(&agent.current.key));
}

#[test]
fn the_first_valid_pair_is_used_before_nomination_and_a_second_one_does_not_move_it() {
    let mut agent = agent();
    assert_eq!(agent.selected(), None);
    check(&mut agent, 0, 1000);
    assert_eq!(agent.selection(), Selection::Valid(tuple(1000)));
    assert_eq!(check(&mut agent, 1, 2000), Change { validated: true, ..Change::default() });
    assert_eq!(agent.selection(), Selection::Valid(tuple(1000)));
    assert!(accepts(&agent, tuple(1000)) && accepts(&agent, tuple(2000)) && !accepts(&agent, tuple(3000)));
    assert_eq!(check(&mut agent, 2, 2000), Change::default());
}

#[test]
fn another_socket_or_port_of_a_validated_address_is_not_accepted() {
    let mut agent = agent();
    check(&mut agent, 0, 1000);
    assert!(!accepts(&agent, FourTuple { socket: SocketId(1), ..tuple(1000) }));
    assert!(!accepts(&agent, tuple(1001)));
}

#[test]
fn the_latest_nomination_moves_the_selection_and_plain_checks_no_longer_do() {
    let mut agent = agent();
    check(&mut agent, 0, 1000);
    assert_eq!(nominate(&mut agent, 1, 1000), Change::default());
    assert_eq!(agent.selection(), Selection::Nominated(tuple(1000)));
    let moved = Change { validated: true, selected: true, ..Change::default() };
    assert_eq!(nominate(&mut agent, 2, 2000), moved);
    assert_eq!(agent.selection(), Selection::Nominated(tuple(2000)));
    check(&mut agent, 3, 1000);
    assert_eq!(agent.selection(), Selection::Nominated(tuple(2000)));
    assert_eq!(nominate(&mut agent, 4, 1000), Change { selected: true, ..Change::default() });
    assert_eq!(agent.selection(), Selection::Nominated(tuple(1000)));
}

#[test]
fn a_wrong_password_changes_nothing_and_is_not_answered() {
    let mut agent = agent();
    check(&mut agent, 0, 1000);
    let request = BindingRequest { use_candidate: true, ..ORDINARY };
    let forged = Check { request, password: "another password".into() };
    let (outcome, _) = forged.arrive(&mut agent, 5, 2000);
    assert_eq!(outcome, CheckOutcome::Refused { reply: 0, reason: StunDrop::Integrity });
    assert_eq!(agent.selection(), Selection::Valid(tuple(1000)));
    assert!(!accepts(&agent, tuple(2000)));
    assert_eq!(agent.last_check(), Some(at(0)));
}

#[test]
fn checks_of_other_ufrags_are_refused_in_silence() {
    let mut agent = agent();
    let cases = [
        (BindingRequest { remote_ufrag: "else", ..ORDINARY }, StunDrop::UnknownUfrag),
        (BindingRequest { local_ufrag: "else", ..ORDINARY }, StunDrop::RemoteUfrag),
    ];
    for (request, reason) in cases {
        let (outcome, _) = Check::of(request).arrive(&mut agent, 0, 1000);
        assert_eq!(outcome, CheckOutcome::Refused { reply: 0, reason });
    }
    assert_eq!(agent.selection(), Selection::Nothing);
}

#[test]
fn a_check_that_overtakes_the_description_is_believed_for_our_password_alone() {
    let mut agent = IceAgent::new(credentials("ours"));
    let request = BindingRequest { local_ufrag: "whoever", ..ORDINARY };
    assert!(change(Check::of(request).arrive(&mut agent, 0, 1000)).validated);
}

#[test]
fn answers_indications_and_unsigned_messages_are_refused_in_silence() {
    let mut agent = agent();
    let key = Key::short_term(&PASSWORD.replace('-', "+"));
    let mut compose = |class, method, username: &[u8], signed: bool, fingerprint: bool| {
        let mut buffer = vec![0; 256];
        let mut composer = Composer::new(&mut buffer, class, method, TRANSACTION).unwrap();
        composer.attribute(AttributeType::USERNAME, &[username]).unwrap();
        if signed {
            composer.message_integrity(&key).unwrap();
        }
        let length = if fingerprint { composer.fingerprint().unwrap() } else { composer.finish() };
        let (outcome, _) = deliver(&mut agent, 0, 1000, &buffer[..length]);
        assert_eq!((agent.last_check(), agent.selected()), (None, None));
        match outcome {
            CheckOutcome::Refused { reply: 0, reason } => reason,
            other => panic!("{other:?}"),
        }
    };
    let good = b"ours:peer";
    for class in [Class::Success, Class::Error, Class::Indication] {
        assert_eq!(compose(class, Method::BINDING, good, true, true), StunDrop::Unsolicited);
    }
    assert_eq!(compose(Class::Request, Method(3), good, true, true), StunDrop::Unsolicited);
    assert_eq!(compose(Class::Request, Method::BINDING, b"ours", true, true), StunDrop::Malformed);
    assert_eq!(compose(Class::Request, Method::BINDING, good, false, true), StunDrop::Integrity);
    assert_eq!(compose(Class::Request, Method::BINDING, good, true, false), StunDrop::Fingerprint);
}

#[test]
fn a_peer_that_believes_to_be_controlled_is_told_of_the_conflict_and_changes_nothing() {
    let mut agent = agent();
    let request = BindingRequest { role: Role::Controlled(0), use_candidate: true, ..ORDINARY };
    let (outcome, reply) = Check::of(request).arrive(&mut agent, 0, 1000);
    assert!(matches!(outcome, CheckOutcome::Refused { reason: StunDrop::RoleConflict, .. }));
    let answer = Message::parse(&reply).unwrap();
    assert_eq!((answer.class(), answer.error_code()), (Class::Error, Some(487)));
    assert!(answer.verify_integrity(&agent.current.key) && answer.verify_fingerprint());
    assert_eq!((agent.selected(), agent.last_check()), (None, None));
}

#[test]
fn an_unknown_required_attribute_is_named_to_those_who_know_the_password() {
    let mut agent = agent();
    let mut arrive = |password: &str| {
        let mut buffer = [0; 256];
        let mut composer = Composer::new(&mut buffer, Class::Request, Method::BINDING, TRANSACTION).unwrap();
        composer.attribute(AttributeType::USERNAME, &[b"ours:peer"]).unwrap();
        composer.attribute(AttributeType(0x7777), &[b"?"]).unwrap();
        composer.message_integrity(&Key::short_term(password)).unwrap();
        let length = composer.fingerprint().unwrap();
        deliver(&mut agent, 0, 1000, &buffer[..length])
    };
    let (outcome, reply) = arrive(&PASSWORD.replace('-', "+"));
    assert!(matches!(outcome, CheckOutcome::Refused { reason: StunDrop::UnknownAttribute, .. }));
    assert_eq!(Message::parse(&reply).unwrap().error_code(), Some(420));
    let (outcome, _) = arrive("another");
    assert_eq!(outcome, CheckOutcome::Refused { reply: 0, reason: StunDrop::Integrity });
    assert_eq!(agent.selected(), None);
}

#[test]
fn a_check_whose_answer_finds_no_space_has_no_effect() {
    let mut agent = agent();
    let bytes = Check::of(ORDINARY).bytes();
    let message = Message::parse(&bytes).unwrap();
    let outcome = agent.handle_request(at(0), tuple(1000), &message, &mut [0; 40]);
    assert_eq!(outcome, CheckOutcome::Refused { reply: 0, reason: StunDrop::NoSpace });
    assert_eq!(agent.selected(), None);
}

#[test]
fn the_ninth_tuple_evicts_the_one_that_went_longest_without_a_check_but_never_the_selected_one() {
    let mut agent = agent();
    nominate(&mut agent, 0, 1000);
    let last = 1000 + u16::try_from(TUPLES_PER_PEER).unwrap() - 1;
    for (port, seconds) in (1001..=last).zip(1..) {
        assert_eq!(check(&mut agent, seconds, port).evicted, None);
    }
    check(&mut agent, 10, 1001);
    let ninth = check(&mut agent, 11, 5000);
    assert_eq!(ninth, Change { validated: true, evicted: Some(tuple(1002)), ..Change::default() });
    assert!(accepts(&agent, tuple(1000)) && accepts(&agent, tuple(1001)) && accepts(&agent, tuple(5000)));
    assert!(!accepts(&agent, tuple(1002)));
    assert_eq!(agent.tuples().count(), TUPLES_PER_PEER);
    assert_eq!(agent.selection(), Selection::Nominated(tuple(1000)));
}

#[test]
fn a_nat_that_rebinds_for_ever_never_locks_its_peer_out() {
    let mut agent = agent();
    for port in 1000..1200 {
        nominate(&mut agent, u64::from(port), port);
        assert_eq!(agent.selected(), Some(tuple(port)));
        assert!(agent.tuples().count() <= TUPLES_PER_PEER);
    }
}

#[test]
fn a_selected_pair_without_consent_gives_way_to_the_next_pair_that_is_checked() {
    let mut agent = agent();
    nominate(&mut agent, 0, 1000);
    check(&mut agent, 29, 2000);
    assert_eq!(agent.selection(), Selection::Nominated(tuple(1000)));
    assert_eq!(check(&mut agent, 30, 2000), Change { selected: true, ..Change::default() });
    assert_eq!(agent.selection(), Selection::Valid(tuple(2000)));
}

#[test]
fn a_peer_that_is_sent_something_is_gone_when_it_says_nothing_for_the_timeout() {
    let timeout = Duration::from_secs(30);
    let mut agent = agent();
    agent.note_sent(at(0));
    check(&mut agent, 10, 1000);
    agent.note_sent(at(15));
    agent.note_sent(at(40));
    assert!(!agent.is_gone(at(44), timeout, false) && agent.is_gone(at(45), timeout, false));
    assert!(!agent.note_media(at(44), tuple(1000)));
    assert!(!agent.is_gone(at(1_000_000), timeout, false), "nothing was sent since");
    agent.note_sent(at(50));
    assert!(!agent.is_gone(at(79), timeout, false) && agent.is_gone(at(80), timeout, false));
}

#[test]
fn a_peer_that_publishes_is_gone_when_it_says_nothing_for_the_timeout() {
    let timeout = Duration::from_secs(30);
    let mut agent = agent();
    assert!(!agent.is_gone(at(1_000_000), timeout, true), "before the first check it is not there yet");
    check(&mut agent, 10, 1000);
    assert!(!agent.is_gone(at(39), timeout, true) && agent.is_gone(at(40), timeout, true));
    agent.note_media(at(39), tuple(1000));
    assert!(!agent.is_gone(at(68), timeout, true) && agent.is_gone(at(69), timeout, true));
}

#[test]
fn media_from_another_valid_pair_moves_the_selection_once_the_nominated_one_is_silent() {
    let mut agent = agent();
    nominate(&mut agent, 0, 1000);
    check(&mut agent, 1, 2000);
    assert!(!agent.note_media(at(1), tuple(2000)), "the nominated pair was heard a second ago");
    assert!(!agent.note_media(at(3), tuple(3000)), "no check came from there");
    assert_eq!(agent.selection(), Selection::Nominated(tuple(1000)));
    assert!(agent.note_media(at(3), tuple(2000)));
    assert_eq!(agent.selection(), Selection::Valid(tuple(2000)));
    nominate(&mut agent, 4, 1000);
    assert_eq!(agent.selection(), Selection::Nominated(tuple(1000)), "the peer's word goes first");
}

#[test]
fn media_keep_the_consent_of_a_pair_without_checks() {
    let mut agent = agent();
    nominate(&mut agent, 0, 1000);
    for seconds in 1..100 {
        agent.note_media(at(seconds), tuple(1000));
    }
    check(&mut agent, 100, 2000);
    assert_eq!(agent.selection(), Selection::Nominated(tuple(1000)));
}

#[test]
fn of_two_agents_before_the_description_one_does_the_handshake_and_the_other_is_forgotten() {
    let mut agent = IceAgent::new(credentials("ours"));
    let arrive = |agent: &mut IceAgent, ufrag, port, use_candidate| {
        let request = BindingRequest { local_ufrag: ufrag, use_candidate, ..ORDINARY };
        change(Check::of(request).arrive(agent, 0, port))
    };
    arrive(&mut agent, "audio", 1000, true);
    arrive(&mut agent, "video", 2000, true);
    assert_eq!(agent.selected(), Some(tuple(2000)));
    assert!(agent.admits_dtls(tuple(1000)), "whose ClientHello comes first has the association");
    assert_eq!(agent.selected(), Some(tuple(1000)), "the answer to it goes where it came from");
    assert!(!agent.admits_dtls(tuple(2000)) && !agent.admits_dtls(tuple(3000)));
    assert!(!arrive(&mut agent, "video", 2000, true).selected, "what the other agent nominates moves nothing");

    assert!(agent.is_misled(&remote("video")) && !agent.is_misled(&remote("audio")));
    assert_eq!(agent.set_remote(&remote("video"))[..], [tuple(1000)]);
    assert_eq!(agent.selected(), Some(tuple(2000)));
    assert!(agent.admits_dtls(tuple(2000)) && !agent.admits_dtls(tuple(1000)));
}

#[test]
fn of_two_agents_with_the_same_credentials_the_one_that_did_the_handshake_keeps_the_media() {
    let mut agent = agent();
    nominate(&mut agent, 0, 1000);
    assert!(agent.admits_dtls(tuple(1000)));
    agent.note_client(tuple(1000));
    nominate(&mut agent, 0, 2000);
    assert_eq!(agent.dtls_path(), Some(tuple(1000)), "what is nominated meanwhile does not move the handshake");
    agent.note_other_client(tuple(2000));
    assert_eq!(agent.selected(), Some(tuple(1000)), "where another handshake begins, our client is not");
    assert!(!agent.admits_dtls(tuple(2000)));
    agent.note_handshake();
    assert!(agent.has_proven(tuple(1000)));
    assert!(!nominate(&mut agent, 1, 2000).selected);

    agent.note_other_client(tuple(1000));
    assert_eq!(agent.selected(), Some(tuple(1000)), "nobody talks our client out of its own pair");
    assert!(agent.note_media(at(4), tuple(2000)), "unless media under our keys come from the other");
    assert!(agent.admits_dtls(tuple(2000)));
    assert_eq!(agent.dtls_path(), Some(tuple(2000)));
}

#[test]
fn a_new_association_keeps_nothing_of_the_old_one_but_what_its_own_agent_has_checked() {
    let mut agent = agent();
    nominate(&mut agent, 0, 1000);
    agent.note_handshake();
    assert!(agent.has_proven(tuple(1000)));
    assert_eq!(agent.restart(credentials("anew")), None);
    let request = BindingRequest { remote_ufrag: "anew", local_ufrag: "page2", ..ORDINARY };
    change(Check::of(request).arrive(&mut agent, 1, 2000));
    let (struck, retired) = agent.begin_association(&remote("page2"));
    assert_eq!((&struck[..], retired), (&[tuple(1000)][..], None));
    assert_eq!(agent.selected(), Some(tuple(2000)));
    assert!(!agent.has_proven(tuple(1000)));

    let (struck, retired) = agent.begin_association(&remote("page3"));
    assert_eq!((&struck[..], retired), (&[tuple(2000)][..], None));
    assert_eq!(agent.selected(), None);
}

#[test]
fn a_restart_keeps_the_old_pairs_and_the_old_ufrag_until_the_new_one_is_checked() {
    let mut agent = agent();
    nominate(&mut agent, 0, 1000);
    assert_eq!(agent.restart(credentials("anew")), None);
    agent.set_remote(&remote("PEER"));
    assert_eq!(agent.local().ufrag(), "anew");
    assert_eq!(agent.ufrags().collect::<Vec<_>>(), ["anew", "ours"]);
    assert_eq!(check(&mut agent, 1, 1000), Change::default());
    assert!(accepts(&agent, tuple(1000)));
    assert_eq!(agent.selected(), Some(tuple(1000)));

    let request = BindingRequest { remote_ufrag: "anew", local_ufrag: "PEER", ..ORDINARY };
    let first = change(Check::of(request).arrive(&mut agent, 2, 2000));
    let retired = Some("ours".into());
    assert_eq!(first, Change { validated: true, selected: true, evicted: None, retired });
    assert_eq!(agent.selection(), Selection::Valid(tuple(2000)));
    let (outcome, _) = Check::of(ORDINARY).arrive(&mut agent, 3, 1000);
    assert_eq!(outcome, CheckOutcome::Refused { reply: 0, reason: StunDrop::UnknownUfrag });
    assert_eq!(agent.ufrags().collect::<Vec<_>>(), ["anew"]);
}

#[test]
fn a_second_restart_before_any_check_drops_the_generation_in_between() {
    let mut agent = agent();
    nominate(&mut agent, 0, 1000);
    assert_eq!(agent.restart(credentials("gone")), None);
    assert_eq!(agent.restart(credentials("anew")), Some("gone".into()));
    assert_eq!(agent.ufrags().collect::<Vec<_>>(), ["anew", "ours"]);
    let request = BindingRequest { remote_ufrag: "anew", ..ORDINARY };
    assert_eq!(change(Check::of(request).arrive(&mut agent, 1, 1000)).retired, Some("ours".into()));
}

#[test]
fn a_tuple_that_another_peer_took_is_forgotten_and_not_sent_on() {
    let mut agent = agent();
    nominate(&mut agent, 0, 1000);
    check(&mut agent, 1, 2000);
    agent.forget(tuple(1000));
    assert!(!accepts(&agent, tuple(1000)));
    assert_eq!(agent.selected(), None);
    assert_eq!(check(&mut agent, 2, 2000), Change { selected: true, ..Change::default() });
}

proptest! {
    #[test]
    fn no_sequence_of_checks_breaks_the_bounds(
        steps in prop::collection::vec((0_u16..20, any::<bool>(), any::<bool>(), 0_u64..20), 1..80)
    ) {
        let mut agent = agent();
        let mut index = std::collections::HashSet::new();
        let mut seconds = 0;
        for (port, honest, use_candidate, pause) in steps {
            seconds += pause;
            let mut check = Check::of(BindingRequest { use_candidate, ..ORDINARY });
            if !honest {
                check.password.push('x');
            }
            let before = (agent.selection(), agent.last_check());
            match check.arrive(&mut agent, seconds, port) {
                (CheckOutcome::Answered { change, .. }, reply) => {
                    prop_assert!(honest && !reply.is_empty());
                    if let Some(evicted) = change.evicted {
                        prop_assert!(index.remove(&evicted));
                    }
                    prop_assert_eq!(index.insert(tuple(port)), change.validated);
                    prop_assert!(!use_candidate || agent.selection() == Selection::Nominated(tuple(port)));
                }
                (CheckOutcome::Refused { .. }, reply) => {
                    prop_assert!(!honest && reply.is_empty());
                    prop_assert_eq!(before, (agent.selection(), agent.last_check()));
                }
            }
            prop_assert!(index.len() <= TUPLES_PER_PEER);
            prop_assert!(index.iter().all(|&tuple| accepts(&agent, tuple)));
            prop_assert_eq!(agent.tuples().count(), index.len());
            prop_assert!(agent.selected().is_none_or(|selected| index.contains(&selected)));
        }
    }
}
