//! The real program on loopback, real Chromium and the real janus.js: each test starts one server and one scenario
//! (`*.mjs` beside this file), whose exit code is the verdict. Nothing here speaks the protocol.
//! Needs node 18, ffmpeg, Chromium and Firefox (`CHROMIUM` and `FIREFOX` name others than /usr/bin/chromium and
//! /usr/bin/firefox-esr), Debian's janus-demos and GStreamer; `tests/run` installs them.

mod hook;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

const SHARDS: u16 = 2;
const LOCALHOST: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// Browsers want the processors to themselves.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A running server, killed when it is dropped.
struct Server {
    child: Child,
    port: u16,
    tls: bool,
    log: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

impl Server {
    /// Starts the program for the test `name` and waits until `/healthz` answers.
    fn start(name: &str, flags: &[&str]) -> Server {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let port =
            TcpListener::bind((LOCALHOST, 0)).and_then(|socket| socket.local_addr()).expect("a free port").port();
        let log = scratch().join(format!("{name}.log"));
        let child = Command::new(env!("CARGO_BIN_EXE_portunus"))
            .args(["--listen", &format!("{LOCALHOST}:{port}"), "--media-ip", &LOCALHOST.to_string()])
            .args(["--media-port", &free_media_ports().to_string(), "--shards", &SHARDS.to_string()])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(File::create(&log).expect("the log can be written"))
            .stderr(File::options().append(true).open(&log).expect("the log can be written"))
            .spawn()
            .expect("the program starts");
        let tls = flags.contains(&"--tls-self-signed");
        let mut server = Server { child, port, tls, log, _turn: turn };
        let deadline = Instant::now() + Duration::from_secs(10);
        while !server.is_healthy() {
            let ended = server.child.try_wait().expect("our child can be asked");
            assert!(ended.is_none() && Instant::now() < deadline, "no server ({ended:?}):\n{}", server.said());
            sleep(Duration::from_millis(50));
        }
        server
    }

    fn is_healthy(&self) -> bool {
        let ask = || {
            let mut stream = TcpStream::connect((LOCALHOST, self.port))?;
            stream.set_read_timeout(Some(Duration::from_secs(1)))?;
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
            let mut head = [0; 12];
            stream.read_exact(&mut head).map(|()| head)
        };
        // A port that speaks TLS says so to those who do not.
        ask().is_ok_and(|head| &head == if self.tls { b"HTTP/1.1 400" } else { b"HTTP/1.1 200" })
    }

    /// Runs `scenario` against this server; its output and the server's log are in the failure.
    fn plays(&self, scenario: &str, options: &[&str]) {
        let scheme = if self.tls { "https" } else { "http" };
        let output = Command::new("node")
            .current_dir(packages())
            .arg(format!("{scenario}.mjs"))
            .args([format!("{scheme}://{LOCALHOST}:{}", self.port), self.child.id().to_string()])
            .args(options)
            .env("LIVE_SCRATCH", scratch())
            .stdin(Stdio::null())
            .output()
            .expect("node starts");
        let said = String::from_utf8_lossy(&output.stdout);
        let erred = String::from_utf8_lossy(&output.stderr);
        print!("{said}{erred}");
        assert!(output.status.success(), "{scenario} failed ({})\n--- the server:\n{}", output.status, self.said());
    }

    /// Waits for the program to end by itself.
    fn ends(&mut self, within: Duration) -> ExitStatus {
        let deadline = Instant::now() + within;
        loop {
            match self.child.try_wait().expect("our child can be asked") {
                Some(status) => return status,
                None => assert!(Instant::now() < deadline, "still there after {within:?}:\n{}", self.said()),
            }
            sleep(Duration::from_millis(50));
        }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already ended is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where clips, pictures and logs go: under the build directory.
fn scratch() -> PathBuf {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("live");
    fs::create_dir_all(&scratch).expect("the build directory can be written");
    scratch
}

/// The folder of the scenarios, with the packages they import.
fn packages() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/live");
        let is_there = |package| folder.join("node_modules").join(package).exists();
        if !["janode", "minijanus", "typed_janus_js"].into_iter().all(is_there) {
            let npm = Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder).output();
            let npm = npm.expect("npm is installed (tests/run installs it)");
            assert!(npm.status.success(), "npm ci: {}", String::from_utf8_lossy(&npm.stderr));
        }
        folder
    })
}

/// The machine's own address, as Firefox and GStreamer have no peer on loopback. A machine without one gets a network namespace with
/// one, for this thread and what it starts.
fn own_address() -> String {
    let find = || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
        socket.connect("192.0.2.1:9").ok()?; // sends nothing
        Some(socket.local_addr().ok()?.ip().to_string())
    };
    let make = || {
        // SAFETY: only this thread moves, and it ends with its test.
        let moved = unsafe { libc::unshare(libc::CLONE_NEWNET) } == 0;
        // With a default route, or Firefox looks no further.
        let commands = "ip link set lo up && ip link add own type veth peer name other && ip link set other up \
            && ip link set own up && ip addr add 192.0.2.2/24 dev own && ip route add default via 192.0.2.1";
        let made = moved && Command::new("sh").args(["-c", commands]).status().is_ok_and(|status| status.success());
        made.then(find).flatten()
    };
    find().or_else(make).expect("an address besides loopback, or the right to make one")
}

/// The first of as many consecutive free UDP ports as there are shards.
fn free_media_ports() -> u16 {
    loop {
        let first = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a free port");
        let base = first.local_addr().expect("it is bound").port();
        let others = (1..SHARDS).map(|n| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, base.checked_add(n)?)).ok());
        if others.collect::<Option<Vec<_>>>().is_some() {
            return base;
        }
    }
}

#[test]
fn a_call_by_janus_js_is_seen_and_heard_and_its_end_is_noticed_over_aes_gcm() {
    Server::start("call-gcm", &[]).plays("call", &["SRTP_AEAD_AES_128_GCM"]);
}

#[test]
fn a_call_is_told_to_event_handlers_step_by_step_and_with_its_media() {
    let hook = hook::Hook::start();
    let server = Server::start("events", &["--event-webhook", &format!("http://{}/", hook.at)]);
    server.plays("call", &["SRTP_AEAD_AES_128_GCM"]);
    // What ends a call is told a moment after it.
    let deadline = Instant::now() + Duration::from_secs(10);
    let is_told = |events: &[Value], name: &str| events.iter().any(|event| event["event"]["data"]["event"] == name);
    while !is_told(&hook.events(), "leaving") && Instant::now() < deadline {
        sleep(Duration::from_millis(50));
    }
    let events = hook.events();
    let of = |kind: u64, subtype: u64| {
        let found = events.iter().filter(move |event| event["type"] == kind && event["subtype"] == subtype);
        found.map(|event| &event["event"]).collect::<Vec<_>>()
    };
    // A subscriber's checks may overtake its answer: nothing is awaited then.
    for (state, least) in [("gathering", 2), ("connecting", 1), ("connected", 2), ("ready", 2)] {
        assert!(of(16, 1).iter().filter(|event| event["ice"] == state).count() >= least, "{state}: {:?}", of(16, 1));
    }
    assert!(of(16, 2).iter().all(|event| event["local-candidate"].as_str().unwrap().contains("127.0.0.1")));
    assert!(of(16, 4).iter().any(|event| event["candidates"]["local"]["address"] == "127.0.0.1"));
    assert!(of(16, 5).iter().any(|event| event["dtls"] == "connected"));
    for connection in ["webrtcup", "hangup"] {
        assert!(of(16, 6).iter().any(|event| event["connection"] == connection));
    }
    for media in ["audio", "video"] {
        assert!(of(32, 1).iter().any(|event| event["media"] == media && event["receiving"] == true));
        let rate = |key: &str| {
            let rates = of(32, 3).into_iter().filter(|event| event["media"] == media).map(|event| event[key].as_u64());
            rates.max().flatten().expect("statistics")
        };
        // Opus takes some 32 kbit/s, a camera more.
        let least = if media == "audio" { 1_000 } else { 5_000 };
        assert!(rate("bytes-received-lastsec") > least && rate("bytes-sent-lastsec") > least, "{:?}", of(32, 3));
        assert!(rate("packets-received") >= 40 && rate("packets-sent") >= 40, "{:?}", of(32, 3));
    }
    for name in ["joined", "published", "subscribing", "subscribed", "unpublished", "leaving"] {
        assert!(is_told(&events, name), "{name}");
    }
    let owned =
        |owner: &str| events.iter().filter(|event| event["type"] == 8 && event["event"]["owner"] == owner).count();
    assert!(owned("local") >= 2 && owned("remote") >= 2);
}

#[test]
fn the_same_call_works_over_aes_cm() {
    let preferred = ["--srtp-profiles", "AES_CM_128_HMAC_SHA1_80,AEAD_AES_128_GCM"];
    Server::start("call-cm", &preferred).plays("call", &["SRTP_AES128_CM_HMAC_SHA1_80"]);
}

#[test]
fn a_browser_that_falls_silent_is_given_up_after_the_peer_timeout() {
    Server::start("vanish", &["--peer-timeout", "5"]).plays("vanish", &["5"]);
}

#[test]
fn three_people_in_a_room_all_see_and_hear_all() {
    Server::start("conference", &[]).plays("conference", &[]);
}

#[test]
fn twenty_rooms_play_at_once_over_two_shards() {
    Server::start("spread", &[]).plays("spread", &[]);
}

#[test]
fn a_sender_ramps_up_unless_its_room_has_a_bitrate() {
    Server::start("bitrate", &[]).plays("bitrate", &[]);
}

#[test]
fn a_hundred_visits_leave_nothing_behind() {
    Server::start("churn", &[]).plays("churn", &[]);
}

#[test]
fn two_browsers_on_the_built_in_page_see_each_other() {
    Server::start("page", &[]).plays("page", &[]);
}

#[test]
fn every_codec_of_chromium_plays_alone_and_together() {
    Server::start("codecs", &[]).plays("codecs", &[]);
}

#[test]
fn aiortc_and_chromium_see_and_hear_each_other() {
    Server::start("aiortc", &[]).plays("aiortc/scenario", &[]);
}

#[test]
fn every_video_codec_plays_with_opus_over_websockets_and_over_long_polls() {
    Server::start("transports", &[]).plays("transports", &[]);
}

#[test]
fn every_video_codec_plays_with_opus_over_wss_and_over_https() {
    Server::start("transports-tls", &["--tls-self-signed"]).plays("transports", &[]);
}

#[test]
fn a_call_that_loses_a_datagram_in_twenty_each_way_on_both_legs_keeps_its_frames() {
    Server::start("loss", &[]).plays("loss", &["1"]);
}

#[test]
fn firefox_and_chromium_call_each_other() {
    Server::start("firefox", &["--media-ip", &own_address()]).plays("firefox", &[]);
}

#[test]
fn one_connection_shows_whatever_it_is_switched_and_updated_to() {
    Server::start("exchange", &[]).plays("exchange", &[]);
}

#[test]
fn media_go_on_through_ice_restarts_and_m_lines_that_come_and_go() {
    Server::start("restart", &[]).plays("restart", &[]);
}

#[test]
fn ffmpeg_decodes_what_is_forwarded_to_it_in_the_clear_and_sealed() {
    Server::start("forward", &["--forward-allow", "127.0.0.1"]).plays("forward", &[]);
}

#[test]
fn janode_manages_rooms_and_carries_a_call() {
    let flags = ["--forward-allow", "127.0.0.1", "--remote-ports", "1"];
    Server::start("janode", &flags).plays("janode", &[]);
}

#[test]
fn two_feeds_on_one_connection_play_on_through_every_renegotiation() {
    Server::start("renegotiate", &[]).plays("renegotiate", &[]);
}

#[test]
fn gstreamer_publishes_and_plays_for_a_minute_whatever_its_bundle_policy() {
    // Its ICE has no candidate on loopback.
    Server::start("gstreamer", &["--media-ip", &own_address()]).plays("gstreamer/scenario", &[]);
}

#[test]
fn minijanus_and_typed_janus_js_play_each_other() {
    Server::start("wild", &[]).plays("wild", &[]);
}

/// The Python that tests/run installs aiortc and janus-client for.
const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/aiortc/bin/python");

#[test]
fn janus_client_of_pypi_carries_a_call_over_websockets_and_long_polls() {
    Server::start("janus-client", &[]).plays("native", &[PYTHON, "janus-client/client.py", "call"]);
}

#[test]
fn janus_client_of_pypi_asks_and_sets_what_operators_may() {
    let server = Server::start("janus-client-admin", &["--admin-secret", "live-admin-secret"]);
    server.plays("native", &[PYTHON, "janus-client/client.py", "operate"]);
}

#[test]
fn jarust_carries_a_call_over_long_polls_and_over_websockets() {
    let server = Server::start("jarust", &[]);
    // Nobody else is at work while this is built, unless tests/run has done so.
    let (folder, target) = (packages().join("jarust"), concat!(env!("CARGO_MANIFEST_DIR"), "/target/jarust"));
    let build = ["build", "--locked", "--quiet", "--target-dir", target];
    let built = Command::new("cargo").args(build).current_dir(folder).status().expect("cargo starts");
    assert!(built.success(), "jarust's client is not built");
    server.plays("jarust/scenario", &[&format!("{target}/debug/jarust-client")]);
}

/// What settings.js and adminconfig.js of the demo pages hold in demos.mjs.
const DEMO_SECRETS: [&str; 4] = ["--api-secret", "live-api-secret", "--admin-secret", "live-admin-secret"];

#[test]
fn the_stock_videoroom_demo_shows_three_people_and_no_error_box_over_http() {
    Server::start("demo-videoroom-http", &DEMO_SECRETS).plays("demos", &["videoroomtest", "http"]);
}

#[test]
fn the_stock_videoroom_demo_shows_three_people_and_no_error_box_over_websockets() {
    Server::start("demo-videoroom-ws", &DEMO_SECRETS).plays("demos", &["videoroomtest", "websocket"]);
}

#[test]
fn the_stock_multistream_demo_shows_three_people_and_no_error_box_over_http() {
    Server::start("demo-mvideoroom-http", &DEMO_SECRETS).plays("demos", &["mvideoroomtest", "http"]);
}

#[test]
fn the_stock_multistream_demo_shows_three_people_and_no_error_box_over_websockets() {
    Server::start("demo-mvideoroom-ws", &DEMO_SECRETS).plays("demos", &["mvideoroomtest", "websocket"]);
}

#[test]
fn the_stock_screen_sharing_demo_shows_a_screen_to_two_people() {
    let server = Server::start("demo-screensharing", &DEMO_SECRETS);
    for transport in ["http", "websocket"] {
        server.plays("demos", &["screensharingtest", transport]);
    }
}

#[test]
fn the_stock_admin_page_shows_and_sets_all_that_it_offers() {
    let captures = scratch().join("demo-captures");
    let _ = fs::remove_dir_all(&captures); // of an earlier run: no capture takes the place of another
    fs::create_dir_all(&captures).expect("the build directory can be written");
    let flags = [&DEMO_SECRETS[..], &["--token-auth", "--capture-folder", captures.to_str().expect("a path in UTF-8")]];
    Server::start("demo-admin", &flags.concat()).plays("demos", &["admin", "http"]);
}

#[test]
fn a_camera_is_seen_after_its_sixtieth_toggle_and_256_m_lines_are_agreed_on_either_side() {
    Server::start("toggles", &[]).plays("toggles", &[]);
}

#[test]
fn sigterm_tells_the_peers_and_ends_with_success() {
    let mut server = Server::start("shutdown", &[]);
    server.plays("shutdown", &[]);
    let status = server.ends(Duration::from_secs(10));
    assert!(status.success(), "{status}:\n{}", server.said());
}
