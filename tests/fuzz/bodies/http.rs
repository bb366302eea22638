//! HTTP requests of one connection: how the bytes are cut into reads changes nothing about what they mean.

use portunus::proto::http::{Http, Request, StatusCode};
use portunus::proto::websocket;
use portunus::time::Mono;

/// A byte for the size of the reads, then what the client sends.
pub fn run(data: &[u8]) {
    let Some((&size, sent)) = data.split_first() else { return };
    let at_once = Conversation::of(sent, sent.len().max(1));
    let in_pieces = Conversation::of(sent, usize::from(size).max(1));
    assert_eq!(at_once, in_pieces);
}

/// What a connection came to: its requests, and the status or the upgrade that ended it.
#[derive(Debug, PartialEq, Eq)]
struct Conversation {
    requests: Vec<Request>,
    end: End,
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    Open { partial: bool },
    Refused(StatusCode),
    Upgraded { rest: Vec<u8> },
}

impl Conversation {
    fn of(sent: &[u8], size: usize) -> Conversation {
        let mut http = Http::new(Mono(0));
        let mut requests = Vec::new();
        for (n, piece) in sent.chunks(size).enumerate() {
            assert!(http.receive(Mono(0), piece), "less than may wait");
            loop {
                match http.poll(Mono(0)) {
                    Ok(None) => break,
                    Ok(Some(request)) => {
                        let upgraded = request.upgrade.as_ref().is_some_and(answered);
                        requests.push(request);
                        if upgraded {
                            let mut rest = http.into_rest();
                            rest.extend(sent.chunks(size).skip(n + 1).flatten());
                            return Conversation { requests, end: End::Upgraded { rest } };
                        }
                    }
                    Err(status) => return Conversation { requests, end: End::Refused(status) },
                }
            }
        }
        Conversation { requests, end: End::Open { partial: http.is_partial() } }
    }
}

/// Whether the handshake is accepted; nothing of the client's but the key's digest is in the answer.
fn answered(upgrade: &portunus::proto::http::Upgrade) -> bool {
    let mut out = Vec::new();
    let accepted = websocket::accept(upgrade, true, &mut out).is_ok();
    let text = std::str::from_utf8(&out).expect("a head is text");
    assert_eq!(text.matches("\r\n").count(), if accepted { 6 } else { 0 }, "no line of the client's making");
    accepted
}
