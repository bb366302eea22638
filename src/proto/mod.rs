//! One peer's or one client's state machine each; `now` is an argument, bytes go in and come out.
pub mod ice;

pub mod dtls;

pub mod srtp;

pub mod congestion;
pub mod rtp;

pub mod http;
mod memory;
pub mod session;
pub mod tls;
pub mod websocket;
