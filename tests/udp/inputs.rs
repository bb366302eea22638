//! Bad inputs with what is to come of each: tables of Janus requests for every transport, of WebSocket frames and of
//! HTTP. The codes are those that Janus documents, not those that this server happens to give.

/// The longest message that the server takes.
pub const MESSAGE_MAX: usize = portunus::limits::MESSAGE_JSON_MAX;
/// Some inputs spell out one more: 2883585, or 2c0001 in a chunk.
const _: () = assert!(MESSAGE_MAX + 1 == 0x2c_0001);

/// A request that the server must refuse. `$S` and `$H` stand for a session and a handle, `$R` for a room.
pub struct Refused {
    pub text: String,
    pub refusal: Refusal,
}

/// Janus' refusals: a code and a reason; an empty reason may be any that is not empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 454, with the transport's own reason.
    Syntax,
    /// `"janus":"error"`
    Core(u16, &'static str),
    /// `error_code` in the plugin's data.
    Plugin(u16, &'static str),
}

/// What the core refuses before a plugin sees it. `$T` stands for a transaction, `$M` and `$C` for that and all else that
/// a message and a trickled candidate begin with.
const CORE: &[(&str, u16, &str)] = &[
    // The envelope.
    ("{}", 456, "Missing mandatory element (transaction)"),
    (r#"{"janus":"ping"}"#, 456, "Missing mandatory element (transaction)"),
    (r#"{"janus":"create","session_id":$S}"#, 456, "Missing mandatory element (transaction)"),
    (r#"{$T}"#, 456, "Missing mandatory element (janus)"),
    (r#"{"transaction":null,"janus":"ping"}"#, 467, "Invalid element type (transaction should be a string)"),
    (r#"{"transaction":17,"janus":"ping"}"#, 467, "Invalid element type (transaction should be a string)"),
    (r#"{"transaction":{},"janus":"ping"}"#, 467, "Invalid element type (transaction should be a string)"),
    (r#"{$T,"janus":null}"#, 467, "Invalid element type (janus should be a string)"),
    (r#"{$T,"janus":["ping"]}"#, 467, "Invalid element type (janus should be a string)"),
    (r#"{$T,"janus":1,"session_id":$S}"#, 467, "Invalid element type (janus should be a string)"),
    (r#"{$T,"janus":"create","id":null}"#, 467, "Invalid element type (id should be a positive integer)"),
    (r#"{$T,"janus":"create","id":"5"}"#, 467, "Invalid element type (id should be a positive integer)"),
    (r#"{$T,"janus":"create","id":-5}"#, 467, "Invalid element type (id should be a positive integer)"),
    (r#"{$T,"janus":"create","id":1.5}"#, 467, "Invalid element type (id should be a positive integer)"),
    (r#"{$T,"janus":"create","id":$S}"#, 468, "Session ID already in use"),
    // Verbs and where they stand.
    (r#"{$T,"janus":""}"#, 457, "Unhandled request '' at this path"),
    (r#"{$T,"janus":"frobnicate"}"#, 457, "Unhandled request 'frobnicate' at this path"),
    (r#"{$T,"janus":"attach"}"#, 457, "Unhandled request 'attach' at this path"),
    (r#"{$T,"janus":"destroy","session_id":0}"#, 457, "Unhandled request 'destroy' at this path"),
    (r#"{$T,"janus":"keepalive","session_id":null}"#, 457, "Unhandled request 'keepalive' at this path"),
    (r#"{$T,"janus":"keepalive","session_id":"$S"}"#, 457, "Unhandled request 'keepalive' at this path"),
    (r#"{$T,"janus":"frobnicate","session_id":$S}"#, 453, "Unknown request 'frobnicate'"),
    (r#"{$T,"janus":"frobnicate","session_id":$S,"handle_id":$H}"#, 453, "Unknown request 'frobnicate'"),
    (r#"{$T,"janus":"keepalive","session_id":1}"#, 458, "No such session 1"),
    (r#"{$T,"janus":"detach","session_id":1,"handle_id":$H}"#, 458, "No such session 1"),
    (r#"{$T,"janus":"detach","handle_id":$H}"#, 458, ""),
    (r#"{$T,"janus":"message","session_id":$S,"handle_id":1,"body":{}}"#, 459, "No such handle 1 in session $S"),
    (r#"{$T,"janus":"message","session_id":$S,"handle_id":0,"body":{}}"#, 459, ""),
    (r#"{$T,"janus":"message","session_id":$S,"body":{}}"#, 457, "Unhandled request 'message' at this path"),
    (
        r#"{$T,"janus":"message","session_id":$S,"handle_id":null,"body":{}}"#,
        457,
        "Unhandled request 'message' at this path",
    ),
    (r#"{$T,"janus":"detach","session_id":$S}"#, 457, "Unhandled request 'detach' at this path"),
    (r#"{$T,"janus":"attach","session_id":$S,"handle_id":$H}"#, 457, "Unhandled request 'attach' at this path"),
    // Attaching.
    (r#"{$T,"janus":"attach","session_id":$S}"#, 456, "Missing mandatory element (plugin)"),
    (r#"{$T,"janus":"attach","session_id":$S,"plugin":null}"#, 467, "Invalid element type (plugin should be a string)"),
    (
        r#"{$T,"janus":"attach","session_id":$S,"plugin":"janus.plugin.videoroom","opaque_id":null}"#,
        467,
        "Invalid element type (opaque_id should be a string)",
    ),
    (
        r#"{$T,"janus":"attach","session_id":$S,"plugin":"janus.plugin.videoroom","loop_index":-1}"#,
        467,
        "Invalid element type (loop_index should be a positive integer)",
    ),
    (r#"{$T,"janus":"attach","session_id":$S,"plugin":"no.such"}"#, 460, "No such plugin 'no.such'"),
    // Messages and their descriptions.
    (r#"{$M}"#, 456, "Missing mandatory element (body)"),
    (r#"{$M,"body":null}"#, 467, "Invalid element type (body should be an object)"),
    (r#"{$M,"body":"list"}"#, 467, "Invalid element type (body should be an object)"),
    (r#"{$M,"body":{},"jsep":null}"#, 455, "Invalid jsep object"),
    (r#"{$M,"body":{},"jsep":[]}"#, 455, "Invalid jsep object"),
    (r#"{$M,"body":{},"jsep":{}}"#, 456, "JSEP error: missing mandatory element (type)"),
    (
        r#"{$M,"body":{},"jsep":{"type":null,"sdp":""}}"#,
        467,
        "JSEP error: invalid element type (type should be a string)",
    ),
    (r#"{$M,"body":{},"jsep":{"type":"offer"}}"#, 456, "JSEP error: missing mandatory element (sdp)"),
    (
        r#"{$M,"body":{},"jsep":{"type":"offer","sdp":null}}"#,
        467,
        "JSEP error: invalid element type (sdp should be a string)",
    ),
    (
        r#"{$M,"body":{},"jsep":{"type":"offer","sdp":"","trickle":null}}"#,
        467,
        "JSEP error: invalid element type (trickle should be a boolean)",
    ),
    (r#"{$M,"body":{},"jsep":{"type":"rollback","sdp":""}}"#, 464, "JSEP error: unknown message type 'rollback'"),
    (r#"{$M,"body":{},"jsep":{"type":"offer","sdp":""}}"#, 465, ""),
    (r#"{$M,"body":{},"jsep":{"type":"offer","sdp":"v=0\r\n"}}"#, 465, ""),
    (r#"{$M,"body":{},"jsep":{"type":"offer","sdp":"v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nt=0 0\r\n"}}"#, 465, ""),
    (r#"{$M,"body":{},"jsep":{"type":"offer","sdp":"\u0000"}}"#, 465, ""),
    (r#"{$M,"body":{},"jsep":{"type":"answer","sdp":"v=0\r\n"}}"#, 469, ""),
    // Candidates.
    (r#"{$C}"#, 456, "Missing mandatory element (candidate|candidates)"),
    (r#"{$C,"candidate":null,"candidates":[]}"#, 454, ""),
    (r#"{$C,"candidate":17}"#, 467, ""),
    (r#"{$C,"candidates":null}"#, 467, ""),
    (r#"{$C,"candidate":{"candidate":null,"sdpMid":"0"}}"#, 467, ""),
    (r#"{$C,"candidate":{"candidate":"x"}}"#, 456, ""),
];

/// What VideoRoom refuses: bodies.
const PLUGIN: &[(&str, u16, &str)] = &[
    ("{}", 429, "Missing mandatory element (request)"),
    (r#"{"request":null}"#, 430, "Invalid element type (request should be a string)"),
    (r#"{"request":17}"#, 430, "Invalid element type (request should be a string)"),
    (r#"{"request":"frobnicate"}"#, 423, "Unknown request 'frobnicate'"),
    (r#"{"request":"exists"}"#, 429, "Missing mandatory element (room)"),
    (r#"{"request":"exists","room":null}"#, 430, "Invalid element type (room should be a positive integer)"),
    (r#"{"request":"exists","room":"$R"}"#, 430, "Invalid element type (room should be a positive integer)"),
    (r#"{"request":"exists","room":-1}"#, 430, "Invalid element type (room should be a positive integer)"),
    (r#"{"request":"exists","room":1.5}"#, 430, "Invalid element type (room should be a positive integer)"),
    (r#"{"request":"exists","room":[]}"#, 430, "Invalid element type (room should be a positive integer)"),
    (r#"{"request":"create","room":$R}"#, 427, "Room $R already exists"),
    (r#"{"request":"create","room":null}"#, 430, "Invalid element type (room should be a positive integer)"),
    (r#"{"request":"create","description":null}"#, 430, "Invalid element type (description should be a string)"),
    (
        r#"{"request":"create","publishers":null}"#,
        430,
        "Invalid element type (publishers should be a positive integer)",
    ),
    (r#"{"request":"create","is_private":null}"#, 430, "Invalid element type (is_private should be a boolean)"),
    (r#"{"request":"create","is_private":1}"#, 430, "Invalid element type (is_private should be a boolean)"),
    (r#"{"request":"create","is_private":"true"}"#, 430, "Invalid element type (is_private should be a boolean)"),
    (r#"{"request":"create","audiocodec":"gramophone"}"#, 430, ""),
    (r#"{"request":"destroy","room":404040}"#, 426, "No such room (404040)"),
    (r#"{"request":"listparticipants"}"#, 429, "Missing mandatory element (room)"),
    (r#"{"request":"listparticipants","room":404040}"#, 426, "No such room (404040)"),
    // From here on the answer is an event.
    (r#"{"request":"configure","audio":true}"#, 424, ""),
    (r#"{"request":"publish"}"#, 424, ""),
    (r#"{"request":"leave"}"#, 424, ""),
    (r#"{"request":"join","ptype":"publisher"}"#, 429, "Missing mandatory element (room)"),
    (
        r#"{"request":"join","room":null,"ptype":"publisher"}"#,
        430,
        "Invalid element type (room should be a positive integer)",
    ),
    (r#"{"request":"join","room":404040,"ptype":"publisher"}"#, 426, "No such room (404040)"),
    (r#"{"request":"join","room":$R}"#, 429, "Missing mandatory element (ptype)"),
    (r#"{"request":"join","room":$R,"ptype":null}"#, 430, "Invalid element type (ptype should be a string)"),
    (r#"{"request":"join","room":$R,"ptype":"spectator"}"#, 430, ""),
    (
        r#"{"request":"join","room":$R,"ptype":"publisher","display":null}"#,
        430,
        "Invalid element type (display should be a string)",
    ),
    (
        r#"{"request":"join","room":$R,"ptype":"publisher","id":null}"#,
        430,
        "Invalid element type (id should be a positive integer)",
    ),
    (
        r#"{"request":"joinandconfigure","room":$R,"ptype":"publisher","audio":null}"#,
        430,
        "Invalid element type (audio should be a boolean)",
    ),
    (
        r#"{"request":"joinandconfigure","room":$R,"ptype":"publisher","bitrate":"much"}"#,
        430,
        "Invalid element type (bitrate should be a positive integer)",
    ),
    (r#"{"request":"join","room":$R,"ptype":"subscriber"}"#, 429, "Missing mandatory element (feed)"),
    (r#"{"request":"join","room":$R,"ptype":"subscriber","streams":[]}"#, 429, "Missing mandatory element (feed)"),
    (
        r#"{"request":"join","room":$R,"ptype":"subscriber","streams":null}"#,
        430,
        "Invalid element type (streams should be an array)",
    ),
    (r#"{"request":"join","room":$R,"ptype":"subscriber","streams":[{}]}"#, 429, "Missing mandatory element (feed)"),
    (
        r#"{"request":"join","room":$R,"ptype":"subscriber","streams":[{"feed":null}]}"#,
        430,
        "Invalid element type (feed should be a positive integer)",
    ),
    (
        r#"{"request":"join","room":$R,"ptype":"subscriber","streams":[{"feed":1,"mid":null}]}"#,
        430,
        "Invalid element type (mid should be a string)",
    ),
    (r#"{"request":"join","room":$R,"ptype":"subscriber","streams":[null]}"#, 429, "Missing mandatory element (feed)"),
    (r#"{"request":"join","room":$R,"ptype":"subscriber","streams":[{"feed":1}]}"#, 428, "No such feed (1)"),
];

/// What is no JSON, or more of it than may be.
fn no_json() -> Vec<String> {
    let nested = |depth: usize| "[".repeat(depth);
    let ping = r#"{"janus":"ping","transaction":"t"}"#;
    let mut texts: Vec<String> = [
        "{",
        "]",
        ",",
        "nonsense",
        "null",
        "17",
        "true",
        "\"ping\"",
        "\u{0}",
        "'{}'",
        "  \n ",
        r#"{"janus":"#,
        r#"{"janus":"ping","transaction":"t",}"#,
        r#"{"janus":"ping","transaction":"t"}}"#,
        r#"{"janus":"ping" "transaction":"t"}"#,
        r#"{"janus":"ping","transaction":"t}"#,
        r#"{"janus":"ping","transaction":"\x"}"#,
        r#"{"janus":"ping","transaction":"\ud800"}"#,
        r#"{"janus":"ping","transaction":"t","session_id":01}"#,
        r#"{"janus":"ping","transaction":"t","session_id":NaN}"#,
        r#"{"janus":"ping","transaction":"t","session_id":99999999999999999999}"#,
        "{\"janus\":\"ping\",\"transaction\":\"a\u{7}b\"}",
    ]
    .map(String::from)
    .into();
    // One document that is well does not help the next one.
    texts.push(format!("{ping}{{"));
    texts.push(ping.repeat(65));
    texts.push(format!("{}{}", nested(65), "]".repeat(65)));
    texts.push(format!(r#"{{"janus":"ping","transaction":"t","x":{}1{}}}"#, nested(1000), "]".repeat(1000)));
    texts.push(nested(MESSAGE_MAX));
    texts.push(r#"{"a":"#.repeat(MESSAGE_MAX / 5));
    texts.push("\"".repeat(MESSAGE_MAX - 1));
    texts
}

/// Refused requests of the greatest length.
fn long() -> Vec<Refused> {
    let on_handle =
        |rest: String| format!(r#"{{"transaction":"t","janus":"message","session_id":$S,"handle_id":$H,{rest}}}"#);
    let fill = |unit: &str, bytes: usize| unit.repeat(bytes / unit.len());
    let bytes = MESSAGE_MAX - 500;
    let join = |streams: String| {
        on_handle(format!(r#""body":{{"request":"join","room":$R,"ptype":"subscriber","streams":[{streams}null]}}"#))
    };
    vec![
        Refused {
            text: format!(r#"{{"transaction":"t","janus":"{}"}}"#, fill("x", bytes)),
            refusal: Refusal::Core(457, ""),
        },
        Refused {
            text: format!(r#"{{"transaction":"t","janus":"create","id":{}}}"#, fill("9", bytes)),
            refusal: Refusal::Syntax,
        },
        Refused {
            text: on_handle(format!(
                r#""body":{{}},"jsep":{{"type":"offer","sdp":"v=0\r\n{}"}}"#,
                fill(r"a=x\r\n", bytes)
            )),
            refusal: Refusal::Core(465, ""),
        },
        Refused {
            text: on_handle(format!(r#""body":{{"request":"{}"}}"#, fill("x", bytes))),
            refusal: Refusal::Plugin(423, ""),
        },
        Refused {
            text: on_handle(format!(r#""body":{{"request":"create","description":"{}"}}"#, fill("x", bytes))),
            refusal: Refusal::Plugin(430, ""),
        },
        Refused { text: join(fill(r#"{"feed":1},"#, bytes)), refusal: Refusal::Plugin(430, "") },
        Refused { text: join(fill("[],", bytes)), refusal: Refusal::Plugin(430, "") },
    ]
}

/// Every request that is refused.
pub fn refused() -> Vec<Refused> {
    let core = CORE.iter().map(|&(text, code, reason)| Refused {
        text: text
            .replace("$M", r#"$T,"janus":"message","session_id":$S,"handle_id":$H"#)
            .replace("$C", r#"$T,"janus":"trickle","session_id":$S,"handle_id":$H"#)
            .replace("$T", r#""transaction":"t""#),
        refusal: Refusal::Core(code, reason),
    });
    let plugin = PLUGIN.iter().map(|&(body, code, reason)| Refused {
        text: format!(r#"{{"transaction":"t","janus":"message","session_id":$S,"handle_id":$H,"body":{body}}}"#),
        refusal: Refusal::Plugin(code, reason),
    });
    let no_json = no_json().into_iter().map(|text| Refused { text, refusal: Refusal::Syntax });
    core.chain(plugin).chain(no_json).chain(long()).collect()
}

/// A masked frame: first byte, payload.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match u16::try_from(payload.len()) {
        Ok(len @ 0..126) => bytes.push(0x80 | len.to_be_bytes()[1]),
        Ok(len) => {
            bytes.push(0x80 | 126);
            bytes.extend(len.to_be_bytes());
        }
        Err(_) => {
            bytes.push(0x80 | 127);
            bytes.extend(u64::try_from(payload.len()).expect("a length").to_be_bytes());
        }
    }
    let mask = [9, 8, 7, 6];
    bytes.extend(mask);
    bytes.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]));
    bytes
}

/// Frames that end a WebSocket, with the code that they end it with (RFC 6455 §7.4.1).
pub fn frames() -> Vec<(&'static str, Vec<u8>, u16)> {
    let ping = br#"{"janus":"ping","transaction":"t"}"#;
    let large = vec![b' '; MESSAGE_MAX + 1];
    let (first, last) = (frame(0x01, &large[1..]), frame(0x80, b" "));
    vec![
        ("a binary message that is too large", frame(0x82, &large), 1009),
        ("text that is not UTF-8", frame(0x81, b"{\"janus\":\"\xc3\x28\"}"), 1007),
        ("text that ends within a letter", frame(0x81, b"\xe2\x82"), 1007),
        ("a message that is too large", frame(0x81, &large), 1009),
        ("fragments that are too large together", [first, last].concat(), 1009),
        (
            "a head that promises too much",
            vec![0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 9, 8, 7, 6],
            1009,
        ),
        ("a frame without a mask", [&[0x81, 34][..], ping].concat(), 1002),
        ("a reserved opcode", frame(0x83, b""), 1002),
        ("a reserved control opcode", frame(0x8b, b""), 1002),
        ("a reserved bit", frame(0xc1, ping), 1002),
        ("the rest of a message that never began", frame(0x80, ping), 1002),
        ("a message within another", [frame(0x01, ping), frame(0x81, ping)].concat(), 1002),
        ("a ping in fragments", frame(0x09, b"x"), 1002),
        ("a ping that is too long", frame(0x89, &[b'x'; 126]), 1002),
    ]
}

/// What comes of an HTTP request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Refused by HTTP, and counted as not understood.
    Malformed(u16),
    /// Understood, and answered with this status.
    Status(u16),
    /// 200 with Janus' error.
    Api(u16),
    /// Closed without a word, and counted as not understood.
    Dropped,
    /// No WebSocket for such a handshake.
    NoWebSocket(u16),
}

/// Bytes of HTTP clients that do as they should not.
pub fn requests(session: u64, handle: u64) -> Vec<(String, Outcome)> {
    use Outcome::{Api, Dropped, Malformed, NoWebSocket, Status};
    const REST: &str = "Host: h\r\nConnection: close\r\n\r\n";
    let mut all: Vec<(String, Outcome)> = [
        // Request lines.
        ("GARBAGE\r\n\r\n", Malformed(400)),
        ("GET\r\n\r\n", Malformed(400)),
        ("GET / HTTP/1.1 x\r\nHost: h\r\n\r\n", Malformed(400)),
        ("G\u{0}T / HTTP/1.1\r\nHost: h\r\n\r\n", Malformed(400)),
        ("GET / HTTP/9.9\r\nHost: h\r\n\r\n", Malformed(505)),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Malformed(505)),
        ("\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}", Malformed(400)),
        // Fields.
        ("GET / HTTP/1.1\r\n\r\n", Malformed(400)),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", Malformed(400)),
        ("GET / HTTP/1.1\r\nHost : h\r\n\r\n", Malformed(400)),
        ("GET / HTTP/1.1\r\nHost: h\r\n folded: x\r\n\r\n", Malformed(400)),
        ("GET / HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n", Malformed(400)),
        ("GET / HTTP/1.1\r\nHost: h\u{0}\r\n\r\n", Malformed(400)),
        // Lengths.
        ("POST /janus HTTP/1.1\r\nHost: h\r\nContent-Length: abc\r\n\r\n", Malformed(400)),
        ("POST /janus HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", Malformed(400)),
        ("POST /janus HTTP/1.1\r\nHost: h\r\nContent-Length: +5\r\n\r\n{}   ", Malformed(400)),
        ("POST /janus HTTP/1.1\r\nHost: h\r\nContent-Length: 2, 2\r\n\r\n{}", Malformed(400)),
        ("POST /janus HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", Malformed(400)),
        ("POST /janus HTTP/1.1\r\nHost: h\r\nContent-Length: 2883585\r\n\r\n", Malformed(413)),
        ("POST /janus HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999999\r\n\r\n", Malformed(413)),
        ("POST /janus HTTP/1.1\r\nHost: h\r\n\r\n", Dropped),
        ("POST /janus HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", Dropped),
        ("GET /janus/info HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", Malformed(413)),
        // Too short a length: a refusal of what came, then one of the rest.
        ("POST /janus HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nConnection: close\r\n\r\n{}", Api(454)),
        // Chunks.
        ("POST /janus HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", Malformed(501)),
        ("POST /janus HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n", Malformed(400)),
        ("POST /janus HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Malformed(400)),
        ("POST /janus HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n{}\r\n0\r\n\r\n", Malformed(400)),
        ("POST /janus HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n", Malformed(400)),
        ("POST /janus HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n", Malformed(400)),
        ("POST /janus HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2c0001\r\n", Malformed(413)),
        ("POST /janus HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", Malformed(400)),
        ("POST /janus HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nno colon\r\n\r\n", Malformed(400)),
    ]
    .map(|(text, outcome)| (text.to_owned(), outcome))
    .into();
    let long = "x".repeat(17_000);
    all.extend([
        (format!("GET / HTTP/1.1\r\nHost: h\r\nX: {long}\r\n\r\n"), Malformed(431)),
        (format!("GET /{long} HTTP/1.1\r\nHost: h\r\n\r\n"), Malformed(431)),
        (format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "X: y\r\n".repeat(64)), Malformed(431)),
        (long.clone(), Malformed(431)),
        (format!("POST /janus HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;{long}"), Malformed(400)),
        (
            format!(
                "POST /janus HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n{}",
                "X: y\r\n".repeat(65)
            ),
            Malformed(431),
        ),
    ]);
    // Methods and paths.
    for method in ["PUT", "DELETE", "PATCH", "TRACE", "FROBNICATE"] {
        all.push((format!("{method} /janus HTTP/1.1\r\n{REST}"), Api(450)));
        all.push((format!("{method} /janus/{session}/{handle} HTTP/1.1\r\n{REST}"), Api(450)));
        all.push((format!("{method} /nowhere HTTP/1.1\r\n{REST}"), Status(404)));
        all.push((format!("{method} / HTTP/1.1\r\n{REST}"), Status(405)));
    }
    let get = |path: String, status| (format!("GET {path} HTTP/1.1\r\n{REST}"), Status(status));
    all.extend([
        get("/nowhere".into(), 404),
        get("/januses".into(), 404),
        get("/janus/../healthz".into(), 404),
        get("/janus/%00".into(), 404),
        get(format!("/janus/{session}/{handle}/1"), 404),
        get(format!("/janus/{session}/x"), 404),
        get("/janus/99999999999999999999999999".into(), 404),
        get("/janus/1".into(), 404),
        get(format!("/janus/{session}/{handle}"), 302),
    ]);
    let post = |path: String, content: &str| {
        format!("POST {path} HTTP/1.1\r\nContent-Length: {}\r\n{REST}{content}", content.len())
    };
    let keepalive = r#"{"janus":"keepalive","transaction":"t"}"#;
    let elsewhere = r#"{"janus":"keepalive","transaction":"t","session_id":1}"#;
    let other_handle = r#"{"janus":"message","transaction":"t","handle_id":1,"body":{}}"#;
    all.extend([
        (post("/nowhere".into(), "{}"), Status(404)),
        (post("/janus/info".into(), "{}"), Status(400)),
        (post("/janus/ping".into(), "{}"), Status(400)),
        (post(format!("/janus/{session}/{handle}/1"), keepalive), Status(404)),
        (post("/janus/1".into(), keepalive), Api(458)),
        (post(format!("/janus/{session}/1"), keepalive), Api(459)),
        (post(format!("/janus/{session}"), elsewhere), Api(457)),
        (post(format!("/janus/{session}/{handle}"), other_handle), Api(457)),
        (post("/janus".into(), &" ".repeat(MESSAGE_MAX + 1)), Malformed(413)),
    ]);
    // Handshakes.
    let handshake = |version: &str, key: &str, protocol: &str| {
        format!(
            "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: {version}\r\n\
             Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n"
        )
    };
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    all.extend([
        (handshake("8", key, "janus-protocol"), NoWebSocket(426)),
        (handshake("", key, "janus-protocol"), NoWebSocket(426)),
        (handshake("13", "short", "janus-protocol"), NoWebSocket(400)),
        (handshake("13", key, ""), NoWebSocket(403)),
        (handshake("13", key, "janus-admin-protocol"), NoWebSocket(403)),
        (handshake("13", key, "JANUS-PROTOCOL"), NoWebSocket(403)),
    ]);
    all
}
