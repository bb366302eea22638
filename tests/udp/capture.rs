//! Captures of a call on the whole machine, read by tshark: what the publisher sends, what the subscriber is sent, and
//! the reports of both, decrypted; as text2pcap's text too.

use crate::alone;
use crate::call::{Host, Publisher, Subscriber};
use crate::clock::wait_for;
use crate::media::Speech;
use crate::sdp::{OPUS, VP8};
use crate::server::Server;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Removed with all that is in it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("portunus-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn order(client: &mut crate::client::Client, handle: u64, verb: &str, more: Value) -> Value {
    let mut request = json!({ "janus": verb, "handle_id": handle, "admin_secret": "adm" });
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = client.ask(request);
    if answer["janus"] == "success" { json!("success") } else { answer["error"]["code"].clone() }
}

/// The fields of every packet that a filter lets through.
fn tshark(file: &Path, filter: &str, fields: &[&str]) -> Vec<Vec<String>> {
    let mut command = Command::new("tshark");
    command.args(["-r", &file.to_string_lossy(), "-n", "--enable-heuristic", "rtp_udp"]);
    command.args(["--enable-heuristic", "rtcp_udp", "-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"]);
    command.args(["-Y", filter, "-T", "fields"]);
    for field in fields {
        command.args(["-e", field]);
    }
    let output = command.output().expect("tshark (Debian's package) runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("tshark speaks UTF-8");
    text.lines().map(|line| line.split('\t').map(String::from).collect()).collect()
}

/// Sequence numbers by SSRC and payload type, of one direction.
fn streams(file: &Path, direction: &str) -> BTreeMap<(u32, u8), Vec<u16>> {
    let mut streams: BTreeMap<_, Vec<u16>> = BTreeMap::new();
    for row in tshark(file, &format!("rtp && {direction}"), &["rtp.ssrc", "rtp.p_type", "rtp.seq"]) {
        let ssrc = u32::from_str_radix(row[0].trim_start_matches("0x"), 16).expect("an SSRC");
        streams.entry((ssrc, row[1].parse().expect("a type"))).or_default().push(row[2].parse().expect("a number"));
    }
    streams
}

fn is_gapless(numbers: &[u16]) -> bool {
    numbers.windows(2).all(|pair| pair[0].wrapping_add(1) == pair[1])
}

/// The file, once it is not growing any more.
fn complete(file: &Path) -> u64 {
    let mut last = 0;
    wait_for(Duration::from_secs(5), "a complete file", || {
        std::thread::sleep(Duration::from_millis(100));
        let len = fs::metadata(file).ok()?.len();
        (std::mem::replace(&mut last, len) == len && len > 0).then_some(len)
    })
}

#[test]
fn tshark_reads_what_was_captured_of_a_publisher_and_a_subscriber() {
    let _alone = alone();
    let folder = Folder::new("capture");
    let more = ["--admin-secret", "adm", "--capture-folder", &folder.0.to_string_lossy()];
    let mut server = Server::start(33_950, 1, &more);
    Host::new(&server).create(500);
    let mut publisher = Publisher::join(&server, 500);
    let mut subscriber = Subscriber::join(&server, 500, publisher.feed);
    let port = publisher.remote.at.port();
    let (from, to) = (publisher.handle, subscriber.handle);

    let out = json!({ "folder": "a/b", "filename": "out.pcap", "truncate": 60 });
    assert_eq!(order(&mut publisher.client, from, "stop_pcap", json!({})), 490);
    assert_eq!(order(&mut publisher.client, from, "start_pcap", json!({ "filename": "../in.pcap" })), 467);
    assert_eq!(order(&mut publisher.client, from, "start_pcap", json!({ "filename": "in.pcap" })), "success");
    assert_eq!(order(&mut publisher.client, from, "start_text2pcap", json!({})), 490);
    assert_eq!(order(&mut subscriber.client, to, "start_pcap", out.clone()), "success");
    let shown = |client: &mut crate::client::Client, handle: u64| {
        let info =
            client.ask(json!({ "janus": "handle_info", "handle_id": handle, "admin_secret": "adm" }))["info"].clone();
        (info["dump-to-pcap"].clone(), info["pcap-file"].clone())
    };
    assert_eq!(shown(&mut publisher.client, from), (json!(true), json!("in.pcap")));
    publisher.speak(Speech::SMALL, Duration::from_millis(1500));
    subscriber.has_everything_of(&publisher.peer, true);
    assert_eq!(order(&mut publisher.client, from, "stop_pcap", json!({})), "success");
    assert_eq!(order(&mut subscriber.client, to, "stop_pcap", json!({})), "success");
    assert_eq!(order(&mut subscriber.client, to, "stop_pcap", json!({})), 490);
    assert_eq!(shown(&mut publisher.client, from), (Value::Null, Value::Null));
    assert_eq!(order(&mut subscriber.client, to, "start_pcap", out), 490, "nothing is written over");

    // What the publisher sent, with its own numbers; what it was sent are reports.
    let sent = publisher.peer.ledger();
    let file = folder.0.join("in.pcap");
    complete(&file);
    let (ours, theirs) = (format!("udp.srcport == {port}"), format!("udp.dstport == {port}"));
    let heard = streams(&file, &theirs);
    let (audio, video) = (&heard[&(publisher.peer.audio, OPUS)], &heard[&(publisher.peer.video, VP8)]);
    assert_eq!((audio.len(), video.len()), (sent.audio_sent as usize, sent.video_sent as usize));
    assert!(is_gapless(audio) && is_gapless(video) && heard.len() == 2);
    assert!(streams(&file, &ours).is_empty());
    assert!(!tshark(&file, &format!("rtcp && {ours}"), &["rtcp.pt"]).is_empty());
    let wrong = "udp.checksum.status == 0 || ip.checksum.status == 0 || _ws.malformed";
    assert_eq!(tshark(&file, wrong, &["frame.number"]), Vec::<Vec<String>>::new());

    // What the subscriber was sent, cut short.
    let file = folder.0.join("a/b/out.pcap");
    complete(&file);
    let told = streams(&file, &ours);
    let mut counts: Vec<usize> = told.values().map(Vec::len).collect();
    let mut expected = vec![sent.audio_sent as usize, sent.video_sent as usize];
    counts.sort_unstable();
    expected.sort_unstable();
    assert_eq!(counts, expected);
    assert!(told.values().all(|numbers| is_gapless(numbers)));
    assert!(told.keys().all(|(ssrc, _)| subscriber.peer.ledger().heard.contains_key(ssrc)));
    let longest = tshark(&file, "rtp", &["frame.cap_len"]).into_iter().map(|row| row[0].parse::<usize>().unwrap());
    assert_eq!(longest.max(), Some(14 + 20 + 8 + 60));

    // Text; it ends with the handle.
    assert_eq!(order(&mut publisher.client, from, "start_text2pcap", json!({ "filename": "in.txt" })), "success");
    publisher.speak(Speech::SMALL, Duration::from_millis(300));
    subscriber.has_everything_of(&publisher.peer, true);
    assert_eq!(publisher.client.ask(json!({ "janus": "detach", "handle_id": from }))["janus"], "success");
    let (text, made) = (folder.0.join("in.txt"), folder.0.join("made.pcap"));
    complete(&text);
    let made_it = Command::new("text2pcap")
        .args(["-q", "-D", "-t", "%H:%M:%S.%f", "-u", "1000,2000"])
        .args([&text, &made])
        .status()
        .expect("text2pcap (Debian's package wireshark-common) runs");
    assert!(made_it.success());
    let now = publisher.peer.ledger();
    let heard = streams(&made, "frame");
    let count = |ssrc, pt| heard.get(&(ssrc, pt)).map_or(0, Vec::len);
    assert_eq!(count(publisher.peer.audio, OPUS), (now.audio_sent - sent.audio_sent) as usize, "{heard:?}");
    assert_eq!(count(publisher.peer.video, VP8), (now.video_sent - sent.video_sent) as usize);

    let health = server.health();
    assert_eq!(health.drops("capture_overflow"), 0);
    assert_eq!(health.counter("captures_limited") + health.counter("captures_failed"), 0);
    server.is_well();
}
