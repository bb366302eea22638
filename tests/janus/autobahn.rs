//! The cases of the Autobahn test suite for servers of WebSocket (sections 1 to 7, 9 and 10 of its list), as facts in a
//! table. The suite wants an echo; this server answers each message once, with Janus' JSON in a text, and takes messages
//! up to 2.75 MiB. Its expectations are adapted to that: a message is worth one reply, a longer one 1009; where the suite wants the connection failed, the code of RFC 6455 is asked for.

use portunus::limits::MESSAGE_JSON_MAX;
use portunus::signalling::{Fate, SignallingConfig};

use crate::client::{Frame, frame};
use crate::world::World;

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
/// What the echo of a close frame without a code counts as (RFC 6455 §7.1.5).
const NO_STATUS: u16 = 1005;

/// How frames reach the server.
#[derive(Clone, Copy)]
enum Chop {
    /// All at once.
    Whole,
    /// Frame by frame.
    Frames,
    /// In pieces of so many bytes.
    Bytes(usize),
}

/// What must come of them, in this order, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// One text message, whatever it says.
    Reply,
    Pong(Vec<u8>),
    /// A close frame; nothing may follow.
    Close(u16),
}

use Outcome::{Close, Pong, Reply};

struct Case {
    id: String,
    frames: Vec<Vec<u8>>,
    chop: Chop,
    outcomes: Vec<Outcome>,
}

#[derive(Default)]
struct Table(Vec<Case>);

impl Table {
    fn case(&mut self, id: impl Into<String>, frames: &[Vec<u8>], chop: Chop, outcomes: &[Outcome]) {
        self.0.push(Case { id: id.into(), frames: frames.to_vec(), chop, outcomes: outcomes.to_vec() });
    }
}

fn whole(payload: &[u8]) -> Vec<u8> {
    frame(TEXT, true, payload)
}

/// A message of one opcode in fragments.
fn fragments(opcode: u8, parts: &[&[u8]]) -> Vec<Vec<u8>> {
    let last = parts.len() - 1;
    let part = |(at, part): (usize, &&[u8])| frame(if at == 0 { opcode } else { CONTINUATION }, at == last, part);
    parts.iter().enumerate().map(part).collect()
}

/// The same, cut evenly.
fn cut(opcode: u8, payload: &[u8], size: usize) -> Vec<Vec<u8>> {
    fragments(opcode, &payload.chunks(size).collect::<Vec<_>>())
}

fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(CLOSE, true, &[&code.to_be_bytes(), reason].concat())
}

fn hex(digits: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect()
}

/// 1: framing.
fn framing(table: &mut Table) {
    for (section, opcode) in [(1, TEXT), (2, BINARY)] {
        for (case, length) in [0, 125, 126, 127, 128, 65_535, 65_536, 65_536].into_iter().enumerate() {
            let chop = if case == 7 { Chop::Bytes(997) } else { Chop::Whole };
            let message = frame(opcode, true, &vec![b'*'; length]);
            table.case(format!("1.{section}.{}", case + 1), &[message], chop, &[Reply]);
        }
    }
}

/// 2: pings and pongs.
fn pings(table: &mut Table) {
    let ping = |payload: &[u8]| frame(PING, true, payload);
    let pong = |payload: &[u8]| Pong(payload.to_vec());
    let binary = [0, 255, 254, 253, 252, 251, 0, 255];
    let most = [254; 125];
    table.case("2.1", &[ping(b"")], Chop::Whole, &[pong(b"")]);
    table.case("2.2", &[ping(b"Hello, world!")], Chop::Whole, &[pong(b"Hello, world!")]);
    table.case("2.3", &[ping(&binary)], Chop::Whole, &[pong(&binary)]);
    table.case("2.4", &[ping(&most)], Chop::Whole, &[pong(&most)]);
    table.case("2.5", &[ping(&[254; 126])], Chop::Whole, &[Close(1002)]);
    table.case("2.6", &[ping(&most)], Chop::Bytes(1), &[pong(&most)]);
    table.case("2.7", &[frame(PONG, true, b"")], Chop::Whole, &[]);
    table.case("2.8", &[frame(PONG, true, b"unsolicited pong payload")], Chop::Whole, &[]);
    let unsolicited = frame(PONG, true, b"unsolicited pong payload");
    table.case("2.9", &[unsolicited, ping(b"ping payload")], Chop::Frames, &[pong(b"ping payload")]);
    let payloads: Vec<_> = (0..10).map(|number| format!("payload-{number}").into_bytes()).collect();
    let (many, answers): (Vec<_>, Vec<_>) = payloads.iter().map(|payload| (ping(payload), pong(payload))).unzip();
    table.case("2.10", &many, Chop::Whole, &answers);
    table.case("2.11", &many, Chop::Bytes(1), &answers);
}

/// 3 and 4: reserved bits and opcodes.
fn reserved(table: &mut Table) {
    let (hello, ping) = (whole(b"Hello, world!"), frame(PING, true, b""));
    let bits = |bits: u8, opcode: u8, payload: &[u8]| frame(opcode | bits << 4, true, payload);
    let behind = |bad: Vec<u8>| [hello.clone(), bad, ping.clone()];
    let failed = [Close(1002)];
    table.case("3.1", &[bits(1, TEXT, b"Hello, world!")], Chop::Whole, &failed);
    for (id, reserved, chop) in [("3.2", 2, Chop::Whole), ("3.3", 3, Chop::Frames), ("3.4", 4, Chop::Bytes(1))] {
        table.case(id, &behind(bits(reserved, TEXT, b"Hello, world!")), chop, &[Reply, Close(1002)]);
    }
    table.case("3.5", &[bits(5, BINARY, &[0, 255, 254, 253])], Chop::Whole, &failed);
    table.case("3.6", &[bits(6, PING, b"Hello, world!")], Chop::Whole, &failed);
    table.case("3.7", &[bits(7, CLOSE, &1000u16.to_be_bytes())], Chop::Whole, &failed);
    for (section, first) in [(1, 3), (2, 11)] {
        let odd = |by: u8, payload: &[u8]| frame(first + by, true, payload);
        let payload = b"reserved opcode payload";
        table.case(format!("4.{section}.1"), &[odd(0, b"")], Chop::Whole, &failed);
        table.case(format!("4.{section}.2"), &[odd(1, payload)], Chop::Whole, &failed);
        table.case(format!("4.{section}.3"), &behind(odd(2, b"")), Chop::Whole, &[Reply, Close(1002)]);
        table.case(format!("4.{section}.4"), &behind(odd(3, payload)), Chop::Frames, &[Reply, Close(1002)]);
        table.case(format!("4.{section}.5"), &behind(odd(4, payload)), Chop::Bytes(1), &[Reply, Close(1002)]);
    }
}

/// 5: fragments.
fn fragmentation(table: &mut Table) {
    let first = |opcode: u8| frame(opcode, false, b"fragment1");
    let next = |fin: bool, payload: &[u8]| frame(CONTINUATION, fin, payload);
    let ping = |payload: &[u8]| frame(PING, true, payload);
    let chops = [Chop::Whole, Chop::Frames, Chop::Bytes(1)];
    let failed = [Close(1002)];
    table.case("5.1", &[first(PING), next(true, b"fragment2")], Chop::Whole, &failed);
    table.case("5.2", &[first(PONG), next(true, b"fragment2")], Chop::Whole, &failed);
    let cases = |table: &mut Table, from: usize, frames: &[Vec<u8>], outcomes: &[Outcome]| {
        for (at, chop) in chops.into_iter().enumerate() {
            table.case(format!("5.{}", from + at), frames, chop, outcomes);
        }
    };
    cases(table, 3, &[first(TEXT), next(true, b"fragment2")], &[Reply]);
    let pong = Pong(b"ping payload".to_vec());
    cases(table, 6, &[first(TEXT), ping(b"ping payload"), next(true, b"fragment2")], &[pong, Reply]);
    cases(table, 9, &[next(true, b"non-continuation payload"), whole(b"Hello, world!")], &failed);
    cases(table, 12, &[next(false, b"non-continuation payload"), whole(b"Hello, world!")], &failed);
    let lost = [first(TEXT), next(true, b"fragment2"), next(false, b"fragment3"), whole(b"fragment4")];
    table.case("5.15", &lost, Chop::Whole, &[Reply, Close(1002)]);
    for (id, fin) in [("5.16", false), ("5.17", true)] {
        let once = [next(fin, b"fragment1"), frame(TEXT, false, b"fragment2"), next(true, b"fragment3")];
        table.case(id, &[once.clone(), once].concat(), Chop::Whole, &failed);
    }
    table.case("5.18", &[first(TEXT), whole(b"fragment2")], Chop::Whole, &failed);
    let five = [
        first(TEXT),
        next(false, b"fragment2"),
        ping(b"pongme 1!"),
        next(false, b"fragment3"),
        next(false, b"fragment4"),
        ping(b"pongme 2!"),
        next(true, b"fragment5"),
    ];
    let answers = [Pong(b"pongme 1!".to_vec()), Pong(b"pongme 2!".to_vec()), Reply];
    table.case("5.19", &five, Chop::Whole, &answers);
    table.case("5.20", &five, Chop::Frames, &answers);
}

/// 6.1 to 6.4: how text is framed, and that what cannot become UTF-8 any more fails at once.
fn text(table: &mut Table) {
    let failed = [Close(1007)];
    table.case("6.1.1", &[whole(b"")], Chop::Whole, &[Reply]);
    table.case("6.1.2", &fragments(TEXT, &[b"", b"", b""]), Chop::Whole, &[Reply]);
    table.case("6.1.3", &fragments(TEXT, &[b"", b"middle frame payload", b""]), Chop::Whole, &[Reply]);
    let hello = "Hello-µ@ßöäüàá-UTF-8!!";
    table.case("6.2.1", &[whole(hello.as_bytes())], Chop::Whole, &[Reply]);
    let (one, other) = hello.split_at(hello.find('ö').unwrap());
    table.case("6.2.2", &fragments(TEXT, &[one.as_bytes(), other.as_bytes()]), Chop::Whole, &[Reply]);
    table.case("6.2.3", &cut(TEXT, hello.as_bytes(), 1), Chop::Whole, &[Reply]);
    table.case("6.2.4", &cut(TEXT, "κόσμε".as_bytes(), 1), Chop::Whole, &[Reply]);
    let bad = hex("cebae1bdb9cf83cebcceb5eda080656469746564");
    table.case("6.3.1", &[whole(&bad)], Chop::Whole, &failed);
    table.case("6.3.2", &cut(TEXT, &bad, 1), Chop::Frames, &failed);
    // The third fragment is not needed to know.
    let greek = frame(TEXT, false, "κόσμε".as_bytes());
    table.case("6.4.1", &[greek.clone(), frame(CONTINUATION, false, &hex("f4908080"))], Chop::Frames, &failed);
    table.case("6.4.2", &[greek, frame(CONTINUATION, false, &hex("f490"))], Chop::Frames, &failed);
    // Within one frame we know at its end, which the suite calls not strict.
    let bad = whole(&hex("cebae1bdb9cf83cebcceb5f4908080656469746564"));
    table.case("6.4.3", std::slice::from_ref(&bad), Chop::Bytes(17), &failed);
    table.case("6.4.4", &[bad], Chop::Bytes(1), &failed);
}

/// 6.5 to 6.23: Markus Kuhn's UTF-8 decoder stress test, one message each.
fn utf8(table: &mut Table) {
    let valid = |text: String| (text, true);
    let invalid = |text: &str| (text.to_owned(), false);
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).map(valid).collect::<Vec<_>>();
    let faults = |list: &[&str]| list.iter().copied().map(invalid).collect::<Vec<_>>();
    let greek = "cebae1bdb9cf83cebcceb5";
    let prefixes = (1..=11).map(|bytes| (greek[..2 * bytes].to_owned(), [2, 5, 7, 9, 11].contains(&bytes))).collect();
    let range = |from: u8, to: u8, gap: &str| (from..=to).map(|byte| format!("{byte:02x}{gap}")).collect::<String>();
    let lonely = [(0xc0, 0xdf), (0xe0, 0xef), (0xf0, 0xf7), (0xf8, 0xfb), (0xfc, 0xfd)];
    let unfinished =
        ["c0", "e080", "f08080", "f8808080", "fc80808080", "df", "efbf", "f7bfbf", "fbbfbfbf", "fdbfbfbfbf"];
    let planes = (0..=16u32).flat_map(|plane| [plane << 16 | 0xfffe, plane << 16 | 0xffff]);
    let digits = |text: String| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let non_characters = planes.map(|point| valid(digits(char::from_u32(point).unwrap().to_string()))).collect();
    let mut unexpected = faults(&["80", "bf", "80bf", "80bf80", "80bf80bf", "80bf80bf80", "80bf80bf80bf"]);
    unexpected.push((range(0x80, 0xbf, ""), false));
    let sections: Vec<Vec<(String, bool)>> = vec![
        ["hello$world", "hello¢world", "hello€world", "hello𤭢world", "κόσμε"]
            .map(|text| valid(digits(text.into())))
            .into(),
        prefixes,
        texts(&["00", "c280", "e0a080", "f0908080"]),
        faults(&["f888808080", "fc8480808080"]),
        texts(&["7f", "dfbf", "efbfbf", "f48fbfbf"]),
        faults(&["f7bfbfbf", "fbbfbfbfbf", "fdbfbfbfbfbf"]),
        [texts(&["ed9fbf", "ee8080", "efbfbd", "f48fbfbf"]), faults(&["f4908080"])].concat(),
        unexpected,
        lonely.map(|(from, to)| (range(from, to, "20"), false)).into(),
        faults(&unfinished),
        vec![(unfinished.concat(), false)],
        faults(&["fe", "ff", "fefeffff"]),
        faults(&["c0af", "e080af", "f08080af", "f8808080af", "fc80808080af"]),
        faults(&["c1bf", "e09fbf", "f08fbfbf", "f887bfbfbf", "fc83bfbfbfbf"]),
        faults(&["c080", "e08080", "f0808080", "f880808080", "fc8080808080"]),
        faults(&["eda080", "edadbf", "edae80", "edafbf", "edb080", "edbe80", "edbfbf"]),
        faults(&[
            "eda080edb080",
            "eda080edbfbf",
            "edadbfedb080",
            "edadbfedbfbf",
            "edae80edb080",
            "edae80edbfbf",
            "edafbfedb080",
            "edafbfedbfbf",
        ]),
        non_characters,
        texts(&["efbfb9", "efbfba", "efbfbb", "efbfbc", "efbfbd", "efbfbe", "efbfbf"]),
    ];
    for (section, cases) in sections.into_iter().enumerate() {
        for (case, (text, is_valid)) in cases.into_iter().enumerate() {
            let outcome = if is_valid { Reply } else { Close(1007) };
            table.case(format!("6.{}.{}", section + 5, case + 1), &[whole(&hex(&text))], Chop::Whole, &[outcome]);
        }
    }
}

/// 7: closing.
fn closing(table: &mut Table) {
    let (hello, ping, normal) = (whole(b"Hello World!"), frame(PING, true, b""), close(1000, b""));
    let echoed = [Close(1000)];
    table.case("7.1.1", &[hello.clone(), normal.clone()], Chop::Whole, &[Reply, Close(1000)]);
    table.case("7.1.2", &[normal.clone(), normal.clone()], Chop::Whole, &echoed);
    table.case("7.1.3", &[normal.clone(), ping.clone()], Chop::Whole, &echoed);
    table.case("7.1.4", &[normal.clone(), hello], Chop::Whole, &echoed);
    let halves = fragments(TEXT, &[b"fragment1", b"fragment2"]);
    table.case("7.1.5", &[halves[0].clone(), normal.clone(), halves[1].clone()], Chop::Whole, &echoed);
    let long = whole(&vec![b'B'; 256 << 10]);
    table.case("7.1.6", &[long, normal.clone(), ping], Chop::Whole, &[Reply, Close(1000)]);
    table.case("7.3.1", &[frame(CLOSE, true, b"")], Chop::Whole, &[Close(NO_STATUS)]);
    table.case("7.3.2", &[frame(CLOSE, true, b"a")], Chop::Whole, &[Close(1002)]);
    table.case("7.3.3", &[normal], Chop::Whole, &echoed);
    table.case("7.3.4", &[close(1000, b"Hello World!")], Chop::Whole, &echoed);
    table.case("7.3.5", &[close(1000, &[b'*'; 123])], Chop::Whole, &echoed);
    table.case("7.3.6", &[close(1000, &[b'*'; 124])], Chop::Whole, &[Close(1002)]);
    table.case("7.5.1", &[close(1000, &hex("cebae1bdb9cf83cebcceb5eda080656469746564"))], Chop::Whole, &[Close(1007)]);
    let good = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999];
    for (case, code) in good.into_iter().enumerate() {
        table.case(format!("7.7.{}", case + 1), &[close(code, b"")], Chop::Whole, &[Close(code)]);
    }
    for (case, code) in [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999].into_iter().enumerate() {
        table.case(format!("7.9.{}", case + 1), &[close(code, b"")], Chop::Whole, &[Close(1002)]);
    }
    for (case, code) in [5000, 65_535].into_iter().enumerate() {
        table.case(format!("7.13.{}", case + 1), &[close(code, b"")], Chop::Whole, &[Close(1002)]);
    }
}

/// 9 and 10: much.
fn limits(table: &mut Table) {
    const MEGABYTE: usize = 1 << 20;
    for (section, opcode) in [(1, TEXT), (2, BINARY)] {
        let of = |length: usize| if length > MESSAGE_JSON_MAX { Close(1009) } else { Reply };
        for (case, length) in [64 << 10, 256 << 10, MEGABYTE, 4 << 20, 8 << 20, 16 << 20].into_iter().enumerate() {
            let message = frame(opcode, true, &vec![b'*'; length]);
            table.case(format!("9.{section}.{}", case + 1), &[message], Chop::Whole, &[of(length)]);
        }
        for (case, size) in (0..9).map(|power| 64 << (2 * power)).enumerate() {
            let message = cut(opcode, &vec![b'*'; 4 << 20], size);
            table.case(format!("9.{}.{}", section + 2, case + 1), &message, Chop::Whole, &[Close(1009)]);
        }
        for (case, size) in [64, 128, 256, 512, 1024, 2048].into_iter().enumerate() {
            let message = frame(opcode, true, &vec![b'*'; MEGABYTE]);
            table.case(format!("9.{}.{}", section + 4, case + 1), &[message], Chop::Bytes(size), &[of(MEGABYTE)]);
        }
        for (case, length) in [0, 16, 64, 256, 1024, 4096].into_iter().enumerate() {
            let messages = vec![frame(opcode, true, &vec![b'*'; length]); 1000];
            table.case(format!("9.{}.{}", section + 6, case + 1), &messages, Chop::Frames, &vec![Reply; 1000]);
        }
    }
    table.case("10.1.1", &cut(TEXT, &vec![b'*'; 65_536], 1300), Chop::Frames, &[Reply]);
}

fn table() -> Vec<Case> {
    let mut table = Table::default();
    for section in [framing, pings, reserved, fragmentation, text, utf8, closing, limits] {
        section(&mut table);
    }
    table.0
}

/// What is wrong with what comes of a case.
fn finding(case: &Case) -> Option<String> {
    let mut world = World::new(SignallingConfig::new([9; 32]));
    world.upgrade('A');
    let bytes = case.frames.concat();
    let mut heard = Vec::new();
    let mut hear = |world: &mut World| {
        while let Some(frame) = world.hear('A') {
            heard.push(match frame {
                Frame::Text(_) => Reply,
                Frame::Pong(payload) => Pong(payload),
                Frame::Close(code) => Close(code),
                Frame::Ping(_) => panic!("{}: pinged", case.id),
            });
        }
    };
    match case.chop {
        Chop::Whole => world.write('A', &bytes),
        Chop::Frames => case.frames.iter().for_each(|frame| {
            world.write('A', frame);
            hear(&mut world);
        }),
        Chop::Bytes(size) => bytes.chunks(size).for_each(|bytes| world.write('A', bytes)),
    }
    hear(&mut world);
    let ends = matches!(case.outcomes.last(), Some(Close(_)));
    let is_open = world.clients[&'A'].fate == Fate::Open;
    (heard != case.outcomes || ends == is_open).then(|| {
        let (heard, outcomes) = (&heard[..heard.len().min(20)], &case.outcomes[..case.outcomes.len().min(20)]);
        format!("{}: {heard:?}, not {outcomes:?}; open: {is_open}", case.id)
    })
}

#[test]
fn websockets_are_as_the_autobahn_suite_wants_them() {
    let table = table();
    // As many as the suite counts in these sections.
    assert_eq!(table.len(), 301);
    let findings: Vec<_> = table.iter().filter_map(finding).collect();
    assert!(findings.is_empty(), "{} of {}:\n{}", findings.len(), table.len(), findings.join("\n"));
}
