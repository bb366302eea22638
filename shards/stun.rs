//! `portunus check --stun`: asks a STUN server at which address it sees this machine, and says whether that is what
//! `public_ip` must name.

use crate::clock::Clock;
use crate::config::Config;
use crate::interface;
use portunus::proto::mapping::{MappingQuery, PATIENCE, Refusal, Step};
use std::fmt::Write;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::Duration;

/// The port of STUN over UDP (RFC 8489 §18.6).
const PORT: u16 = 3478;
/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 1500;
/// No wait of a socket may be zero, which would be for ever.
const WAIT_MIN: Duration = Duration::from_millis(1);

/// Asks `server` (`HOST:PORT`, or `HOST` alone) over each address family of media. The text is lines of comments for the
/// settings file; the error is a sentence.
pub fn ask(server: &str, config: &Config) -> Result<String, String> {
    let families = |ip: &SocketAddr| config.media.iter().any(|media| media.ip.is_ipv4() == ip.is_ipv4());
    let found = resolve(server).map_err(|error| format!("cannot find the STUN server {server}: {error}"))?;
    let mut servers: Vec<SocketAddr> = Vec::new();
    for at in found.into_iter().filter(families) {
        if !servers.iter().any(|other| other.is_ipv4() == at.is_ipv4()) {
            servers.push(at);
        }
    }
    if servers.is_empty() {
        return Err(format!("the STUN server {server} has no address of a family that media uses (media_ip)"));
    }
    let own: Vec<IpAddr> = interface::addresses().map_or_else(|_| Vec::new(), |all| all.iter().map(|a| a.ip).collect());
    let mut text = String::new();
    let mut failures = Vec::new();
    for at in servers {
        match mapped(at) {
            Ok(seen) => text.push_str(&advice(at, seen.ip().to_canonical(), &own, config)),
            Err(sentence) => failures.push(format!("the STUN server {server} ({at}) {sentence}")),
        }
    }
    if text.is_empty() {
        return Err(failures.join("; "));
    }
    failures.iter().for_each(|sentence| _ = writeln!(text, "# {sentence}"));
    Ok(text)
}

fn resolve(server: &str) -> std::io::Result<Vec<SocketAddr>> {
    let found = match server.parse::<IpAddr>() {
        Ok(ip) => vec![SocketAddr::new(ip, PORT)],
        Err(_) if server.contains(':') => server.to_socket_addrs()?.collect(),
        Err(_) => (server, PORT).to_socket_addrs()?.collect(),
    };
    Ok(found)
}

/// One transaction; the error is the end of a sentence about the server.
fn mapped(server: SocketAddr) -> Result<SocketAddr, String> {
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::ConnectionRefused => "does not answer: nothing listens on that UDP port".into(),
        _ => format!("cannot be asked: {error}"),
    };
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).map_err(failed)?;
    // Connected: others are not heard, and an ICMP error comes back.
    socket.connect(server).map_err(failed)?;
    let mut transaction = [0; 12];
    aws_lc_rs::rand::fill(&mut transaction)
        .map_err(|_| "cannot be asked: the system gives no randomness".to_owned())?;
    let clock = Clock::start();
    let mut query = MappingQuery::new(transaction, clock.read().now.mono);
    let mut answer = [0; ANSWER_BYTES_MAX];
    loop {
        let now = clock.read().now.mono;
        match query.poll(now) {
            Step::Send(request) => _ = socket.send(request).map_err(failed)?,
            Step::GiveUp => {
                let patience = PATIENCE.as_secs_f32();
                return Err(format!("does not answer within {patience} s: is UDP to it let through?"));
            }
            Step::Wait(until) => {
                socket.set_read_timeout(Some(until.since(now).max(WAIT_MIN))).map_err(failed)?;
                match socket.recv(&mut answer) {
                    Ok(length) => match query.read(&answer[..length]) {
                        Some(Ok(seen)) => return Ok(seen),
                        Some(Err(Refusal::Code(code))) => return Err(format!("refuses with code {code}")),
                        Some(Err(Refusal::NoAddress)) => return Err("answers without XOR-MAPPED-ADDRESS".into()),
                        None => {}
                    },
                    Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                    Err(error) => return Err(failed(error)),
                }
            }
        }
    }
}

/// What is to be done about an address that a server sees.
fn advice(server: SocketAddr, seen: IpAddr, own: &[IpAddr], config: &Config) -> String {
    let of_family = |ip: &&IpAddr| ip.is_ipv4() == seen.is_ipv4();
    let named: Vec<String> = config.public_ip.iter().filter(of_family).map(IpAddr::to_string).collect();
    let begins = format!("# STUN server {server} sees this machine at {seen}");
    let ports = config.media_ports();
    match (named.is_empty(), config.public_ip.contains(&seen), own.contains(&seen)) {
        (_, true, _) => format!("{begins}, which is what public_ip says.\n"),
        (true, _, true) => format!("{begins}, which is its own: no NAT is in between, public_ip is not needed.\n"),
        (true, ..) => format!(
            "{begins}, which it does not have itself: a NAT is in between. Set\n#   public_ip = [\"{seen}\"]\n\
             # and have the NAT forward UDP {ports} to this machine.\n"
        ),
        (false, ..) => format!(
            "{begins}, but public_ip is {}. If clients outside get no media, set\n\
             #   public_ip = [\"{seen}\"]\n",
            named.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn config(text: &str) -> Config {
        Config::new(toml::from_str(text).unwrap()).unwrap()
    }

    #[test]
    fn the_advice_depends_on_what_the_machine_has_and_what_is_configured() {
        let server = "192.0.2.5:3478".parse().unwrap();
        let (seen, own) = ("203.0.113.9".parse().unwrap(), ["10.0.0.1".parse().unwrap()]);
        let media = "media_ip = [\"127.0.0.1\"]\nmedia_port = 30000\nshards = 3\n";
        let behind = advice(server, seen, &own, &config(media));
        assert!(behind.contains("public_ip = [\"203.0.113.9\"]") && behind.contains("30000 to 30002"), "{behind}");
        assert!(advice(server, seen, &[seen], &config(media)).contains("is not needed"));
        let right = config(&format!("{media}public_ip = [\"203.0.113.9\"]"));
        assert!(advice(server, seen, &own, &right).contains("what public_ip says"));
        let wrong = config(&format!("{media}public_ip = [\"198.51.100.1\"]"));
        let wrong = advice(server, seen, &own, &wrong);
        assert!(wrong.contains("is 198.51.100.1") && wrong.contains("public_ip = [\"203.0.113.9\"]"), "{wrong}");
        for text in [behind, wrong] {
            assert!(text.lines().all(|line| line.starts_with('#')), "{text}");
        }
    }

    #[test]
    fn servers_are_named_with_and_without_a_port() {
        for (server, at) in [
            ("127.0.0.1", "127.0.0.1:3478"),
            ("127.0.0.1:19302", "127.0.0.1:19302"),
            ("::1", "[::1]:3478"),
            ("[::1]:5", "[::1]:5"),
        ] {
            assert_eq!(resolve(server).unwrap(), [at.parse().unwrap()], "{server}");
        }
        let unknown = ask("nowhere.invalid:3478", &config("media_ip = [\"127.0.0.1\"]")).unwrap_err();
        assert!(unknown.contains("nowhere.invalid"), "{unknown}");
        assert!(ask("127.0.0.1:x", &config("media_ip = [\"127.0.0.1\"]")).is_err());
        let other = ask("[::1]:3478", &config("media_ip = [\"127.0.0.1\"]")).unwrap_err();
        assert!(other.contains("media_ip"), "{other}");
    }

    #[test]
    fn a_server_that_is_not_there_or_talks_nonsense_is_given_up() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let at = socket.local_addr().unwrap();
        let babbler = thread::spawn(move || {
            let mut bytes = [0; 100];
            // Four requests come before it is given up.
            for _ in 0..4 {
                let (_, from) = socket.recv_from(&mut bytes).unwrap();
                socket.send_to(b"no STUN", from).unwrap();
            }
        });
        let given_up = mapped(at).unwrap_err();
        assert!(given_up.contains("7.5 s"), "{given_up}");
        babbler.join().unwrap();
        let gone = mapped(at).unwrap_err();
        assert!(gone.contains("nothing listens"), "{gone}");
    }
}
