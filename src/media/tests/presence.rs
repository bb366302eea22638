//! Who is there and where: what keeps a peer, what ends it, which path its media take, whose an address is, and which
//! DTLS association is the peer's (RFC 7675, RFC 8445 §8.2, RFC 8842 §5).

use super::attention::Microphone;
use super::repair::{Camera, Viewer, send_rtcp};
use super::*;
use crate::control::command::HangupReason;
use crate::media::verdict::DropReason;
use crate::wire::rtcp::ReceiverReport;

const TIMEOUT: Duration = Duration::from_secs(30);

/// Goes on in steps of 100 ms.
fn pass(world: &mut World, seconds: u64, mut each: impl FnMut(&mut World, u64)) {
    for tenth in 0..seconds * 10 {
        world.now.mono = world.now.mono + Duration::from_millis(99);
        each(world, tenth);
        world.step();
    }
}

fn hangups(world: &World, member: u16) -> Vec<HangupReason> {
    let own = world.events.iter().filter(|(to, _)| *to == u64::from(member) + 1);
    own.filter_map(|(_, event)| if let Event::Hangup(reason) = event { Some(*reason) } else { None }).collect()
}

/// A check from the path of `from`, which need not be the member whose description it is.
fn check(world: &mut World, from: u16, ours: &Description, ufrag: &str, nominates: bool) -> Verdict {
    let transport = ours.transport().unwrap();
    let request = BindingRequest {
        transaction: TransactionId([7; 12]),
        remote_ufrag: &transport.ufrag,
        local_ufrag: ufrag,
        priority: 1,
        role: stun::Role::Controlling(1),
        use_candidate: nominates,
    };
    let mut check = [0; 300];
    let len = request.compose(&mut check, &Key::short_term(&transport.pwd)).unwrap();
    world.deliver(from, &mut check[..len])
}

fn publish(world: &mut World, member: u16, offer: Description) -> (Description, FeedId) {
    let configure = Configure { offer: Some(Box::new(offer)), ..Configure::default() };
    let join = JoinPublisher { configure: Some(configure), ..JoinPublisher::default() };
    let Reply::Joined(joined) = world.request(member, MemberRequest::JoinPublisher(join)) else { panic!() };
    (joined.published.unwrap().answer, joined.id)
}

/// The offer of a page with another connection: its own credentials and certificate.
fn another(mut description: Description, ufrag: &str) -> Description {
    for media in &mut description.media {
        let transport = media.transport.as_mut().unwrap();
        transport.ufrag = ufrag.into();
        transport.fingerprint = Fingerprint::Sha256([ufrag.as_bytes()[0]; 32]);
    }
    description
}

#[test]
fn media_keep_a_publisher_whose_only_keepalives_are_indications() {
    let mut world = World::with_peer_timeout(40, TIMEOUT);
    let (_, end) = world.publish(0, chromium_offer());
    let mut microphone = Microphone::new(end);
    pass(&mut world, 45, |world, tenth| {
        microphone.packet(world, 30);
        if tenth.is_multiple_of(100) {
            let mut indication = [&[0, 0x11, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12]].concat();
            assert_eq!(world.deliver(0, &mut indication), Verdict::Consumed);
        }
    });
    assert_eq!(hangups(&world, 0), []);
    pass(&mut world, 29, |_, _| ());
    assert_eq!(hangups(&world, 0), [], "it owes media for less than the timeout");
    pass(&mut world, 3, |_, _| ());
    assert_eq!(hangups(&world, 0), [HangupReason::IceFailed]);
}

#[test]
fn an_indication_from_nowhere_is_a_stranger() {
    let mut world = World::new(41);
    let mut indication = [&[0, 0x11, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12]].concat();
    assert!(matches!(world.deliver(7, &mut indication), Verdict::Drop(_)));
}

#[test]
fn a_subscriber_of_a_quiet_room_is_kept_and_one_that_answers_nothing_is_not() {
    let mut world = World::with_peer_timeout(42, TIMEOUT);
    let (answer, feed) = publish(&mut world, 0, chromium_offer());
    let ufrag = chromium_offer().transport().unwrap().ufrag.clone();
    world.connect(0, &answer, &ufrag);
    let (_, mut end) = world.subscribe(1, feed, as_offered);
    let mut microphone = Microphone::new(End::new(0));
    microphone.packet(&mut world, 30);
    world.step();
    send_rtcp(&mut end, &mut world, |out| ReceiverReport { ssrc: 1, blocks: &[] }.write(out).unwrap());
    let alive = |world: &mut World, tenth: u64| {
        if tenth.is_multiple_of(25) {
            assert_eq!(check(world, 0, &answer, &ufrag, true), Verdict::Consumed);
        }
    };
    // Reports of our own stop soon after the last packet; the report that answers them keeps the subscriber until then.
    pass(&mut world, 12, alive);
    send_rtcp(&mut end, &mut world, |out| ReceiverReport { ssrc: 1, blocks: &[] }.write(out).unwrap());
    pass(&mut world, 120, alive);
    assert_eq!((hangups(&world, 0), hangups(&world, 1)), (vec![], vec![]));

    microphone.packet(&mut world, 30);
    pass(&mut world, 29, alive);
    assert_eq!(hangups(&world, 1), []);
    pass(&mut world, 3, alive);
    assert_eq!(hangups(&world, 1), [HangupReason::IceFailed]);
    assert_eq!(hangups(&world, 0), []);
}

#[test]
fn media_follow_a_subscriber_whose_nat_rebinds_and_who_does_not_nominate_again() {
    let mut world = World::new(43);
    let (_, publisher) = publish_and_connect(&mut world);
    let mut microphone = Microphone::new(publisher.0);
    let (offer, mut end) = world.subscribe(1, publisher.1, as_offered);
    let sent_to = |world: &mut World, microphone: &mut Microphone, path: u16| {
        microphone.packet(world, 30);
        let mut turn: Vec<u16> = Vec::new();
        for _ in 0..60 {
            turn.extend(
                world.step().into_iter().filter(|(_, bytes)| classify(bytes) == Protocol::Rtp).map(|(to, _)| to),
            );
        }
        assert_eq!(turn, [path]);
    };
    sent_to(&mut world, &mut microphone, 1);
    assert_eq!(check(&mut world, 500, &offer, "subscriber", false), Verdict::Consumed);
    let report = |end: &mut End, world: &mut World| {
        let (mut plain, mut out) = ([0; 100], [0; 200]);
        let len = ReceiverReport { ssrc: 1, blocks: &[] }.write(&mut plain).unwrap();
        let len = end.outbound.protect_rtcp(&plain[..len], &mut out).unwrap();
        assert_eq!(world.deliver(500, &mut out[..len]), Verdict::Consumed);
    };
    report(&mut end, &mut world);
    sent_to(&mut world, &mut microphone, 1);
    pass(&mut world, 2, |_, _| ());
    report(&mut end, &mut world);
    sent_to(&mut world, &mut microphone, 500);
    assert_eq!(world.counter("paths_followed"), 1);
}

fn publish_and_connect(world: &mut World) -> (Description, (End, FeedId)) {
    let (answer, feed) = publish(world, 0, chromium_offer());
    world.connect(0, &answer, &chromium_offer().transport().unwrap().ufrag);
    (answer, (End::new(0), feed))
}

#[test]
fn of_two_ice_agents_the_one_that_the_answer_names_gets_the_media() {
    for named_first in [false, true] {
        let mut world = World::new(44);
        let (_, (end, feed)) = publish_and_connect(&mut world);
        let stream = SubscribeStream { feed, mid: None, crossrefid: None, delay: None };
        let join = JoinSubscriber { streams: vec![stream], ..JoinSubscriber::default() };
        let Reply::Attached(attached) = world.request(1, MemberRequest::JoinSubscriber(join)) else { panic!() };
        let offer = attached.offer;
        // Both agents know the offer, check, and say hello before the answer is here.
        for (from, ufrag) in [(1, "subscriber"), (101, "video+agent")] {
            assert_eq!(check(&mut world, from, &offer, ufrag, true), Verdict::Consumed);
        }
        let [first, second] = if named_first { [1, 101] } else { [101, 1] };
        let mut hello = |from: u16| world.deliver(from, &mut [22, u8::try_from(from + 1).unwrap()]);
        assert_eq!(hello(first), Verdict::Consumed);
        assert_eq!(hello(second), Verdict::Drop(DropReason::DtlsOtherAgent));

        world.answer(1, &offer, as_offered);
        assert_eq!(world.deliver(101, &mut [22, 102]), Verdict::Drop(DropReason::UnknownSource));
        if !named_first {
            assert_eq!(world.deliver(1, &mut [22, 2]), Verdict::Consumed, "its hello comes again");
        }
        let (mut camera, mut viewer) = (Camera::new(end, true), Viewer::new(End::new(1), &offer));
        camera.frame(&mut world, true);
        for _ in 0..60 {
            for (to, datagram) in world.step().into_iter().filter(|(to, _)| *to != 0) {
                assert_eq!(to, 1);
                viewer.receive(&world, datagram);
            }
        }
        assert_eq!(viewer.got.len(), 8);
        assert_eq!(check(&mut world, 101, &offer, "video+agent", true), Verdict::Drop(DropReason::StunUnauthorized));
    }
}

#[test]
fn of_two_ice_agents_with_the_same_credentials_the_one_with_the_association_gets_the_media() {
    let mut world = World::new(46);
    let (_, (end, feed)) = publish_and_connect(&mut world);
    let (offer, viewer) = world.subscribe(1, feed, as_offered);
    assert_eq!(check(&mut world, 101, &offer, "subscriber", true), Verdict::Consumed);
    assert_eq!(world.deliver(101, &mut [22, 102]), Verdict::Drop(DropReason::DtlsOtherAgent));
    assert_eq!(check(&mut world, 101, &offer, "subscriber", true), Verdict::Consumed);

    let (mut camera, mut viewer) = (Camera::new(end, true), Viewer::new(viewer, &offer));
    assert_eq!(watch(&mut world, &mut camera, &mut viewer, true), 8);
}

/// Sends frames; the publisher's camera and the viewer are at their ends' paths.
fn watch(world: &mut World, camera: &mut Camera, viewer: &mut Viewer, keyframe: bool) -> usize {
    let before = viewer.got.len();
    camera.frame(world, keyframe);
    for _ in 0..60 {
        for (to, datagram) in world.step() {
            if to == viewer.end.member {
                viewer.receive(world, datagram);
            } else if to == camera.end.member {
                camera.receive(world, datagram);
            }
        }
    }
    viewer.got.len() - before
}

#[test]
fn a_publisher_goes_on_with_another_connection_on_the_same_handle() {
    let mut world = World::new(45);
    let (first, (end, feed)) = publish_and_connect(&mut world);
    let mut camera = Camera::new(end, true);
    let (offer, end) = world.subscribe(1, feed, as_offered);
    let mut viewer = Viewer::new(end, &offer);
    assert_eq!(watch(&mut world, &mut camera, &mut viewer, true), 8);

    let ufrag = "other+page";
    let configure = Configure { offer: Some(Box::new(another(chromium_offer(), ufrag))), ..Configure::default() };
    let Reply::Configured(configured) = world.request(0, MemberRequest::Configure(configure)) else { panic!() };
    let answer = configured.published.unwrap().answer;
    assert_ne!(answer.transport().unwrap().ufrag, first.transport().unwrap().ufrag);
    assert!(!answer.transport().unwrap().pwd.is_empty());
    world.events.clear();
    world.connect(100, &answer, ufrag);
    world.step();
    let ups = world.events.iter().filter(|(to, event)| *to == 1 && matches!(event, Event::WebrtcUp)).count();
    assert_eq!((ups, hangups(&world, 0)), (1, vec![]));
    assert!(!world.events.iter().any(|(_, event)| matches!(event, Event::Publishers { .. })), "nobody is new");

    let mut camera = Camera::new(End::new(100), true);
    (camera.next, camera.count) = (3, 1000);
    assert_eq!(watch(&mut world, &mut camera, &mut viewer, true), 8);
    assert_eq!(world.deliver(0, &mut [0x80; 40]), Verdict::Drop(DropReason::UnknownSource), "the old path is nobody's");
    assert_eq!(world.counter("associations_replaced"), 1);
}

#[test]
fn a_subscriber_goes_on_with_another_connection_on_the_same_handle() {
    let mut world = World::new(46);
    let (_, (end, feed)) = publish_and_connect(&mut world);
    let mut camera = Camera::new(end, true);
    let (offer, end) = world.subscribe(1, feed, as_offered);
    let mut viewer = Viewer::new(end, &offer);
    assert_eq!(watch(&mut world, &mut camera, &mut viewer, true), 8);
    pass(&mut world, 1, |_, _| ());

    let configure = ConfigureSubscriber { restart: true, ..ConfigureSubscriber::default() };
    let Reply::Configured(configured) = world.request(1, MemberRequest::ConfigureSubscriber(configure)) else {
        panic!()
    };
    let offer = configured.offer.unwrap();
    world.answer(1, &offer, |answer| *answer = another(answer.clone(), "other+page"));
    let wishes = camera.wishes;
    world.connect(101, &offer, "other+page");
    let mut viewer = Viewer::new(End::new(101), &offer);
    assert_eq!(watch(&mut world, &mut camera, &mut viewer, false), 0, "its picture begins with a keyframe");
    assert_eq!(camera.wishes, wishes + 1, "which is asked for");
    assert_eq!(watch(&mut world, &mut camera, &mut viewer, true), 8);
    assert_eq!(hangups(&world, 1), []);
}

#[test]
fn an_address_stays_with_the_peer_that_was_just_heard_there() {
    let mut world = World::new(47);
    let (answer, _) = publish_and_connect(&mut world);
    let ufrag = chromium_offer().transport().unwrap().ufrag.clone();
    let (other, _) = publish(&mut world, 1, chromium_offer());
    let held = Verdict::Drop(DropReason::StunTupleHeld);
    pass(&mut world, 10, |world, tenth| {
        if tenth.is_multiple_of(19) {
            assert_eq!(check(world, 0, &answer, &ufrag, true), Verdict::Consumed);
        }
        assert_eq!(check(world, 0, &other, &ufrag, true), held);
    });
    pass(&mut world, 2, |_, _| ());
    assert_eq!(check(&mut world, 0, &other, &ufrag, true), Verdict::Consumed, "nobody was heard there for 2 s");
    assert_eq!(check(&mut world, 0, &answer, &ufrag, true), Verdict::Consumed, "who did a handshake there has it back");
    assert_eq!(check(&mut world, 0, &other, &ufrag, true), held);
}
