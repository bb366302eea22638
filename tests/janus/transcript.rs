//! Transcripts: one line per message. `>` is said by a client, `<` is the next message it hears, `!` is a direction.
//! Clients are `A` unless a letter stands before the sign. In what is said, `$name` stands for a value heard before; in
//! what is heard, `"$name"` is that value, remembered when it is new, `"*"` is anything, and `"~this~!that"` is a text
//! with the one in it and without the other. `$OFFER` is a browser's, `$ANSWER` a browser's to the offer heard last. At
//! the end nothing may be left unheard. `@` is an HTTP request, as `POST /janus/$s {...}` or `GET /janus/$s?maxev=5`, on a
//! connection of its own for each letter; `=` is its response: a status, then JSON unless there is no content. `%` is the
//! next event for event handlers, without what is the same in all. `! ours` says that the next exchange is not played to
//! Debian's Janus by `debian/compare`: it is about a bound of ours, or about what ends that Janus or leaves it in disorder.
//! `! ours to the end: ...` says so of all that follows, and why.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use portunus::control::capture::{CaptureFolder, CaptureSink, Put};
use portunus::control::command::{Event, Mail};
use portunus::control::spec::RoomSpec;
use portunus::control::talking::TalkChange;
use portunus::id::{Name, RoomId, ShardId, StreamId};
use portunus::signalling::{Fate, Permanent, SignallingConfig};
use portunus::wire::janus::events::Mask;
use serde_json::Value;

use crate::client::Frame;
use crate::world::{Lanes, World};

/// A folder for captures in which one file is there already. What is written is of no interest.
#[derive(Debug)]
struct Folder;

impl CaptureFolder for Folder {
    fn create(&self, path: &[&str]) -> Result<Box<dyn CaptureSink>, String> {
        if path.contains(&"taken") {
            Err(format!("cannot open {}: File exists", path.join("/")))
        } else {
            Ok(Box::new(Folder))
        }
    }
}

impl CaptureSink for Folder {
    fn put(&mut self, _: &[u8]) -> Put {
        Put::Taken
    }
}

/// A browser's offer, shortened.
const OFFER: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n\
    m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n\
    a=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r\n\
    a=setup:actpass\r\na=mid:0\r\na=sendonly\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n\
    m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n\
    a=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r\n\
    a=setup:actpass\r\na=mid:1\r\na=sendonly\r\na=rtcp-mux\r\na=rtpmap:96 VP8/90000\r\n";

/// What is put into it to say how loud its audio is.
const LEVELS: &str = "a=mid:0\r\na=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n";

/// An offer with several codecs, profiles and extensions on either m-line.
fn rich() -> String {
    let audio = "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1;usedtx=1;stereo=1\r\na=rtcp-fb:111 transport-cc\r\n\
        a=rtpmap:0 PCMU/8000\r\na=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n";
    let mut video = String::from(
        "a=extmap:13 urn:3gpp:video-orientation\r\n\
        a=extmap:12 http://www.webrtc.org/experiments/rtp-hdrext/playout-delay\r\n\
        a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n",
    );
    for (pt, codec, fmtp) in [
        (96, "VP8", ""),
        (98, "VP9", "profile-id=0"),
        (100, "VP9", "profile-id=2"),
        (102, "H264", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"),
        (104, "H264", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=640c1f"),
    ] {
        video += &format!("a=rtpmap:{pt} {codec}/90000\r\na=rtcp-fb:{pt} nack pli\r\na=rtcp-fb:{pt} transport-cc\r\n");
        if !fmtp.is_empty() {
            video += &format!("a=fmtp:{pt} {fmtp}\r\n");
        }
    }
    let (head, last) = OFFER.split_at(OFFER.find("m=video").expect("a video line"));
    let head = head
        .replace("SAVPF 111", "SAVPF 111 0")
        .replace("a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n", audio);
    head + &last.replace("SAVPF 96", "SAVPF 96 98 100 102 104").replace("a=rtpmap:96 VP8/90000\r\n", &video)
}

struct Transcript {
    world: Option<World>,
    config: SignallingConfig,
    known: BTreeMap<String, Value>,
}

/// Runs one; the error names the line.
pub fn run(text: &str) -> Result<(), String> {
    let mut transcript = Transcript { world: None, config: SignallingConfig::new([7; 32]), known: BTreeMap::new() };
    transcript.known.insert("OFFER".into(), Value::from(OFFER));
    transcript.known.insert("LEVELS".into(), Value::from(OFFER.replace("a=mid:0\r\n", LEVELS)));
    transcript.known.insert("RICH".into(), Value::from(rich()));
    // Renegotiated: another video line, the video given up, and ICE begun again.
    let video = OFFER.find("m=video").map(|at| &OFFER[at..]).unwrap();
    let more = video.replace("a=mid:1", "a=mid:2");
    transcript.known.insert("MORE".into(), Value::from(format!("{OFFER}{more}").replace("BUNDLE 0 1", "BUNDLE 0 1 2")));
    let less = video.replace("a=sendonly", "a=inactive");
    transcript.known.insert("LESS".into(), Value::from(OFFER.replace(video, &less)));
    transcript.known.insert("RESTARTED".into(), Value::from(OFFER.replace("a=ice-ufrag:abcd", "a=ice-ufrag:efgh")));
    let line = "m=text 9 UDP/TLS/RTP/SAVPF 98\r\na=mid:txt\r\na=sendrecv\r\n";
    transcript.known.insert("WITHTEXT".into(), Value::from(format!("{OFFER}{line}")));
    let own = OFFER.replace("a=group:BUNDLE 0 1\r\n", "").replace("m=video", "a=X\r\nm=video");
    let (audio, video) = own.split_once("a=X\r\n").unwrap();
    let apart = format!("{audio}{}", video.replace("a=ice-ufrag:abcd", "a=ice-ufrag:efgh"));
    transcript.known.insert("APART".into(), Value::from(apart));
    transcript.known.insert("LITE".into(), Value::from(OFFER.replace("t=0 0\r\n", "t=0 0\r\na=ice-lite\r\n")));
    transcript.known.insert("LONG".into(), Value::from("x".repeat(1 << 19)));
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        transcript.step(line).map_err(|error| format!("line {}: {error}", index + 1))?;
    }
    let world = transcript.world();
    for name in world.clients.keys().copied().collect::<Vec<_>>() {
        if !world.clients[&name].bytes.is_empty() {
            let rest = String::from_utf8_lossy(&world.clients[&name].bytes);
            return Err(format!("{name} was also told {rest:?}"));
        }
    }
    if let Some(event) = world.engine.poll_handler_event() {
        return Err(format!("handlers were also sent {}", event.text));
    }
    Ok(())
}

impl Transcript {
    fn world(&mut self) -> &mut World {
        self.world.get_or_insert_with(|| World::new(self.config.clone()))
    }

    fn step(&mut self, line: &str) -> Result<(), String> {
        let (name, line) = match line.strip_prefix(|name: char| name.is_ascii_uppercase()) {
            Some(rest) => (line.chars().next().unwrap(), rest),
            None => ('A', line),
        };
        let (sign, rest) = line.split_at(1);
        let rest = rest.trim();
        match sign {
            ">" => {
                let message = self.fill_in(rest)?;
                self.world().say(name, &message);
                Ok(())
            }
            "<" => self.expect(name, rest),
            "@" => {
                let request = self.fill_in(rest)?;
                self.world().request(name, &request);
                Ok(())
            }
            "=" => self.expect_response(name, rest),
            "%" => self.expect_event(rest),
            "!" => self.direct(name, rest),
            _ => Err(format!("not a line of a transcript: {line}")),
        }
    }

    /// Longer names first, so that `$h` does not eat the start of `$h2`.
    fn fill_in(&self, message: &str) -> Result<String, String> {
        let mut message = message.to_owned();
        let mut names: Vec<_> = self.known.iter().collect();
        names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        for (name, value) in names {
            message = message.replace(&format!("${name}"), &value.to_string());
        }
        if message.contains('$') { Err(format!("not heard before: {message}")) } else { Ok(message) }
    }

    fn expect(&mut self, name: char, expected: &str) -> Result<(), String> {
        let expected: Value = serde_json::from_str(expected).map_err(|error| error.to_string())?;
        let frame = self.world().hear(name).ok_or_else(|| format!("{name} heard nothing instead of {expected}"))?;
        let Frame::Text(text) = frame else { return Err(format!("{name} was sent {frame:?}")) };
        let heard: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        if let Some(offer) = heard["jsep"]["sdp"].as_str().filter(|_| heard["jsep"]["type"] == "offer") {
            let answer = offer.replace("a=sendonly", "a=recvonly").replace("a=setup:actpass", "a=setup:active");
            self.known.insert("ANSWER".into(), answer.into());
        }
        if self.matches(&expected, &heard) {
            Ok(())
        } else {
            Err(format!("\n  expected {expected}\n  heard    {heard}"))
        }
    }

    fn expect_response(&mut self, name: char, expected: &str) -> Result<(), String> {
        let (status, expected) = expected.split_once(' ').unwrap_or((expected, ""));
        let response = self.world().response(name).ok_or_else(|| format!("{name} was not answered"))?;
        if response.status.to_string() != status {
            return Err(format!("{name} was answered {response:?}"));
        }
        if expected.is_empty() || response.content.is_empty() {
            let same = expected.is_empty() && response.content.is_empty();
            return if same { Ok(()) } else { Err(format!("{name} was answered {response:?}")) };
        }
        let expected: Value = serde_json::from_str(expected).map_err(|error| error.to_string())?;
        let heard: Value = serde_json::from_str(&response.content).map_err(|error| error.to_string())?;
        if self.matches(&expected, &heard) {
            Ok(())
        } else {
            Err(format!("\n  expected {expected}\n  heard    {heard}"))
        }
    }

    fn expect_event(&mut self, expected: &str) -> Result<(), String> {
        let expected: Value = serde_json::from_str(expected).map_err(|error| error.to_string())?;
        let event = self.world().engine.poll_handler_event();
        let event = event.ok_or_else(|| format!("handlers were sent nothing instead of {expected}"))?;
        let mut sent: Value = serde_json::from_str(&event.text).map_err(|error| error.to_string())?;
        let object = sent.as_object_mut().ok_or("an event is an object")?;
        let same = (object.remove("emitter"), object.remove("timestamp"), object["type"].clone());
        let is_same = same == (Some("Portunus".into()), Some(0.into()), (event.kind as u16).into());
        if is_same && self.matches(&expected, &sent) {
            Ok(())
        } else {
            Err(format!("\n  expected {expected}\n  sent     {sent} {same:?}"))
        }
    }

    fn matches(&mut self, expected: &Value, heard: &Value) -> bool {
        match (expected, heard) {
            (Value::String(text), _) if text == "*" => true,
            (Value::String(text), _) if text.starts_with('$') => {
                self.known.entry(text[1..].to_owned()).or_insert_with(|| heard.clone()) == heard
            }
            (Value::String(parts), Value::String(heard)) if parts.starts_with('~') => {
                parts.split('~').all(|part| match part.strip_prefix('!') {
                    Some(absent) => !heard.contains(absent),
                    None => heard.contains(part),
                })
            }
            (Value::Object(expected), Value::Object(heard)) => {
                expected.len() == heard.len()
                    && expected
                        .iter()
                        .all(|(key, expected)| heard.get(key).is_some_and(|heard| self.matches(expected, heard)))
            }
            (Value::Array(expected), Value::Array(heard)) => {
                expected.len() == heard.len()
                    && expected.iter().zip(heard).all(|(expected, heard)| self.matches(expected, heard))
            }
            _ => expected == heard,
        }
    }

    fn direct(&mut self, name: char, direction: &str) -> Result<(), String> {
        let words: Vec<&str> = direction.split_whitespace().collect();
        match words.as_slice() {
            ["config", settings @ ..] => {
                assert!(self.world.is_none(), "the configuration comes first");
                for setting in settings {
                    self.configure(setting)?;
                }
            }
            // What somebody has heard, and what handlers were sent, is of no interest.
            ["skip"] => self.world().clients.get_mut(&name).ok_or("nobody of that name")?.bytes.clear(),
            ["skip", "events"] => while self.world().engine.poll_handler_event().is_some() {},
            ["wait", seconds] => {
                let time = Duration::from_secs_f64(seconds.parse().map_err(|_| "not a time")?);
                self.world().wait(time);
            }
            ["ours"] | ["ours", "to", "the", "end:", ..] => {}
            ["lanes", "open"] => self.world().set_lanes(Lanes::Open),
            ["lanes", "full"] => self.world().set_lanes(Lanes::Full),
            ["lanes", "silent"] => self.world().set_lanes(Lanes::Silent),
            ["lanes", "silent", "to", "members"] => self.world().set_lanes(Lanes::SilentToMembers),
            ["unanswered"] => {
                if let Some(response) = self.world().response(name) {
                    return Err(format!("{name} was answered {response:?}"));
                }
            }
            ["dropped"] => {
                let fate = self.world().clients[&name].fate;
                if fate != Fate::Drop {
                    return Err(format!("{name}'s connection is {fate:?}"));
                }
            }
            ["disk", state @ ("works" | "fails")] => self.world().disk_works = *state == "works",
            ["written", wanted @ ..] => {
                let name = |what: &Permanent| match what {
                    Permanent::Keep(spec) => format!("+{}:{}", spec.room, spec.description.replace(' ', "_")),
                    Permanent::Forget(room) => format!("-{room}"),
                };
                let written: Vec<String> = self.world().written.drain(..).map(|what| name(&what)).collect();
                if wanted != ["*"] && written != wanted {
                    return Err(format!("written: {written:?}"));
                }
            }
            ["connect"] => self.world().upgrade(name),
            ["disconnect"] => self.world().disconnect(name),
            ["drain"] => {
                let world = self.world();
                world.engine.drain(world.now);
                world.pump();
            }
            ["fail", room] => {
                let room = RoomId::from(room.parse::<u64>().map_err(|_| "not a room")?);
                let world = self.world();
                let failed = world.shards[0].rooms.remove(&room).ok_or("no such room")?;
                let to = failed.roster().addresses().collect();
                world.mail(Mail::Event { from: ShardId(0), to, event: Event::RoomFailed(room) });
            }
            ["stream", stream, verb @ ("talks" | "stops"), room, level] => {
                let stream = StreamId(stream.parse().map_err(|_| "not a stream")?);
                let room = RoomId::from(room.parse::<u64>().map_err(|_| "not a room")?);
                let level = level.parse().map_err(|_| "not a level")?;
                let change = TalkChange { talking: *verb == "talks", level };
                let world = self.world();
                for mail in world.shards[0].talk(&room, stream, change) {
                    world.mail(mail);
                }
            }
            ["closed", code] => {
                let frame = self.world().hear(name);
                if frame != Some(Frame::Close(code.parse().map_err(|_| "not a code")?)) {
                    return Err(format!("{name} heard {frame:?} instead of close {code}"));
                }
            }
            ["drops", counter, count] => {
                let drops = self.world().drops(counter);
                if drops.to_string() != *count {
                    return Err(format!("{counter} is {drops}"));
                }
            }
            ["counter", counter, count] => {
                let counted = self.world().counter(counter);
                if counted.to_string() != *count {
                    return Err(format!("{counter} is {counted}"));
                }
            }
            ["gauge", gauge, count] => {
                let held = self.world().gauge(gauge);
                if held.to_string() != *count {
                    return Err(format!("{gauge} is {held}"));
                }
            }
            _ => return Err(format!("not a direction: {direction}")),
        }
        Ok(())
    }

    fn configure(&mut self, setting: &str) -> Result<(), String> {
        let (key, value) = setting.split_once('=').ok_or("a setting is key=value")?;
        let number = || value.parse::<u64>().map_err(|_| String::from("not a number"));
        match key {
            "api_secret" => self.config.api_secret = Some(value.into()),
            "admin_secret" => self.config.admin_secret = Some(value.into()),
            "admin_allow" => self.config.admin_allow = vec![value.parse().map_err(|_| "not a network")?],
            "admin_apart" => self.config.admin_apart = value == "true",
            "token_auth" => self.config.token_auth = value == "true",
            "token_auth_secret" => self.config.token_auth_secret = Some(value.into()),
            "handlers" => {
                const KNOWN: [&str; 2] = ["janus.eventhandler.sampleevh", "janus.eventhandler.wsevh"];
                self.config.handlers = KNOWN.into_iter().filter(|known| known.ends_with(value)).collect();
            }
            "events" => self.config.events = Mask::parse(value).map_err(|error| error.to_string())?,
            "admin_key" => self.config.admin_key = Some(value.into()),
            "lock_rtp_forward" => self.config.lock_rtp_forward = value == "true",
            "forward_allow" => {
                let network = value.parse().map_err(|_| String::from("not a network"))?;
                self.config.targets.allowed.push(network);
            }
            "string_ids" => self.config.string_ids = value == "true",
            "reclaim_session_timeout" => {
                self.config.reclaim_session_timeout = Duration::from_secs(number()?);
            }
            "session_timeout" => self.config.session_timeout = Duration::from_secs(number()?),
            "handles_max" => self.config.handles_max = usize::try_from(number()?).unwrap(),
            "sessions_max" => self.config.sessions_max = usize::try_from(number()?).unwrap(),
            "capture_folder" => self.config.capture_folder = Some(Arc::new(Folder)),
            "rooms_file" => self.config.rooms_file = value == "true",
            "shards" => self.config.shards = u8::try_from(number()?).unwrap(),
            "room" if self.config.string_ids => {
                self.config.rooms.push(RoomSpec::new(RoomId(Name::Text(value.into()))));
            }
            "room" => self.config.rooms.push(RoomSpec::new(RoomId::from(number()?))),
            _ => return Err(format!("not a setting: {key}")),
        }
        Ok(())
    }
}
