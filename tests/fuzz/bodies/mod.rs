//! What the fuzz targets do with their bytes: one file per parser or state machine. libFuzzer drives them from
//! `fuzz_targets/`, and `tests/corpus.rs` replays every committed input through the same bodies.
//!
//! A parser is given the input as it is. A state machine is given operations read from it front to back, a few bytes
//! each, so that an input can be written by hand and cut anywhere. Whatever an input does, a body may not panic:
//! what must hold is asserted in it.

pub mod demux_dtls;
pub mod history;
pub mod http;
pub mod ice;
pub mod janus_json;
pub mod jcfg;
pub mod rewrite;
pub mod rtcp;
pub mod rtp;
pub mod sdp;
pub mod srtp_unprotect;
pub mod stun;
pub mod websocket;

/// A target's name, which is also its folder in `corpus/`, and its body.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 13] = [
    ("demux_dtls", demux_dtls::run),
    ("history", history::run),
    ("http", http::run),
    ("ice", ice::run),
    ("janus_json", janus_json::run),
    ("jcfg", jcfg::run),
    ("rewrite", rewrite::run),
    ("rtcp", rtcp::run),
    ("rtp", rtp::run),
    ("sdp", sdp::run),
    ("srtp_unprotect", srtp_unprotect::run),
    ("stun", stun::run),
    ("websocket", websocket::run),
];
