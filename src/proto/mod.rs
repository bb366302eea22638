//! One peer's or one client's state machine each; `now` is an argument, bytes go in and come out.

pub mod congestion;
pub mod dtls;
pub mod http;
pub mod ice;
pub mod mapping;
mod memory;
pub mod rtp;
mod self_signed;
pub mod session;
pub mod srtp;
pub mod tls;
pub mod websocket;
