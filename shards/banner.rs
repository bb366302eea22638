//! What the program says when clients may come: where to connect, and where media flow.

use crate::affinity::Plan;
use std::fmt::Write;
use std::net::SocketAddr;

/// The text. `operators` are the addresses of the Admin API where it has its own, `media` holds the candidates of each
/// shard.
pub fn compose(
    listening: &[SocketAddr],
    operators: &[SocketAddr],
    tls: bool,
    media: &[Vec<SocketAddr>],
    plan: &Plan,
) -> String {
    let mut text = format!("portunus {} is ready\n", env!("CARGO_PKG_VERSION"));
    // Writing to a string does not fail.
    let s = if tls { "s" } else { "" };
    for at in listening {
        let _ = writeln!(text, "  ws{s}://{at}  http{s}://{at}/janus  room page http{s}://{at}/");
    }
    for at in operators {
        let _ = writeln!(text, "  operators: http{s}://{at}/admin");
    }
    for (shard, (candidates, cpu)) in media.iter().zip(&plan.media).enumerate() {
        let candidates: Vec<String> = candidates.iter().map(SocketAddr::to_string).collect();
        let _ = writeln!(text, "  media shard {shard} on CPU {cpu}: UDP {}", candidates.join(" "));
    }
    let shared = if plan.shared { " (shared with media: there are fewer CPUs than shards)" } else { "" };
    let cpus: Vec<String> = plan.signalling.iter().map(usize::to_string).collect();
    let _ = writeln!(text, "  signalling on CPU {}{shared}", cpus.join(", "));
    if !tls && listening.iter().any(|at| !at.ip().is_loopback()) {
        text.push_str(
            "  browsers give no camera to http:// pages of another host: see --tls-cert and --tls-self-signed\n",
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_where_to_connect_and_hints_at_tls_only_when_others_may_come() {
        let plan = Plan { media: vec![0, 1], signalling: vec![1], shared: true };
        let media = [vec!["192.0.2.1:20000".parse().unwrap()], vec!["192.0.2.1:20001".parse().unwrap()]];
        let text =
            compose(&["127.0.0.1:8188".parse().unwrap()], &["127.0.0.1:7088".parse().unwrap()], false, &media, &plan);
        for part in [
            "ws://127.0.0.1:8188",
            "http://127.0.0.1:7088/admin",
            "shard 1 on CPU 1: UDP 192.0.2.1:20001",
            "shared with media",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("--tls"));
        let everywhere = ["[::]:8188".parse().unwrap()];
        assert!(compose(&everywhere, &[], false, &media, &plan).contains("--tls"));
        let text = compose(&everywhere, &[], true, &media, &plan);
        assert!(text.contains("wss://[::]:8188  https://[::]:8188/janus") && !text.contains("--tls"), "{text}");
    }
}
