//! `portunus check` and a start under limits, as an operator runs them.

use std::net::UdpSocket;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use portunus::wire::stun::{Key, Message, REPLY_MAX, binding_success};

/// With the soft and the hard limit of open files set to these.
fn portunus(files: Option<(u64, u64)>, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portunus"));
    command.args(arguments);
    if let Some((soft, hard)) = files {
        let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
        // SAFETY: between fork and exec there is one system call, on a value that was copied.
        unsafe {
            command.pre_exec(move || match libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            });
        }
    }
    command.output().expect("the program starts")
}

/// A STUN server that sees everybody at one address; it passes over the first `deaf` requests.
fn stun_server(seen: &'static str, deaf: usize) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let at = socket.local_addr().expect("bound").to_string();
    thread::spawn(move || {
        let (mut bytes, mut reply) = ([0; 1500], [0; REPLY_MAX]);
        let mut heard = 0;
        while let Ok((length, from)) = socket.recv_from(&mut bytes) {
            heard += 1;
            if heard <= deaf {
                continue;
            }
            let request = Message::parse(&bytes[..length]).expect("a STUN request");
            let key = Key::short_term("nobody verifies it");
            let seen = seen.parse().expect("an address");
            let length = binding_success(&mut reply, request.transaction(), seen, &key).expect("it fits");
            let _ = socket.send_to(&reply[..length], from);
        }
    });
    at
}

const MEDIA: [&str; 6] = ["--media-ip", "127.0.0.1", "--media-port", "30000", "--shards", "1"];

fn check(stun: &str, more: &[&str]) -> Output {
    portunus(None, &[&["check", "--stun", stun], &MEDIA[..], more].concat())
}

#[test]
fn check_asks_a_stun_server_and_prints_the_address_to_configure() {
    let server = stun_server("203.0.113.9:61000", 1);
    let output = check(&server, &[]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("\n#   public_ip = [\"203.0.113.9\"]\n") && said.contains("UDP port 30000"), "{said}");
    let shown: toml::Table = said.parse().expect("all of it is TOML");
    assert_eq!(shown["media_port"], 30_000.into());

    let output = check(&server, &["--public-ip", "203.0.113.9"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("what public_ip says"), "{said}");

    let output = check(&stun_server("127.0.0.1:61000", 0), &[]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("public_ip is not needed"), "{said}");
}

#[test]
fn a_stun_server_that_is_not_there_is_an_error_that_names_it() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let gone = socket.local_addr().expect("bound").to_string();
    drop(socket);
    let output = check(&gone, &[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains(&gone) && said.contains("nothing listens"), "{said}");
}

#[test]
fn with_too_few_open_files_it_does_not_start_and_names_the_number() {
    let serve = [&["--listen", "127.0.0.1:0"], &MEDIA[..]].concat();
    let output = portunus(Some((256, 256)), &serve);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "it serves nobody");
    assert!(!String::from_utf8_lossy(&output.stdout).contains("is ready"));
    assert!(said.contains("256 files may be open") && said.contains("LimitNOFILE"), "{said}");
    let needed = said.split("at least ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a number");
    assert!(needed.parse::<u64>().is_ok_and(|needed| needed > 256), "{said}");

    let output = portunus(Some((256, 256)), &[&["check"], &MEDIA[..]].concat());
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains(&format!("at least {needed}")), "{said}");
    assert!(said.contains("would not start here"), "{said}");

    let output = portunus(Some((256, 1500)), &[&["check"], &MEDIA[..]].concat());
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("# 1500 files may be open"), "the soft limit is raised to the hard one: {said}");
}

#[test]
fn limits_are_printed_and_a_misspelt_setting_is_told_what_was_meant() {
    let output = portunus(None, &["limits"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let captures = said.lines().find(|line| line.starts_with("capture_bytes_max ")).unwrap_or_default();
    assert!(output.status.success() && captures.ends_with("256 MiB; beyond it the capture ends"), "{said}");

    let file = std::env::temp_dir().join(format!("portunus-check-{}.toml", std::process::id()));
    std::fs::write(&file, "signaling_shards = 2\n").expect("a temporary file");
    let output = portunus(None, &["check", "--config", &file.to_string_lossy()]);
    std::fs::remove_file(&file).expect("it was written");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("did you mean `signalling_shards`?"), "{said}");
}
