//! Bytes to values and back. Parsing borrows; composing writes into a slice that the caller lends. Nothing here remembers anything.

pub mod demux;
pub mod error;
pub mod ini;
pub mod janus;
pub mod jcfg;
pub mod payload;
pub mod pcap;
pub mod reader;
pub mod rtcp;
pub mod rtp;
pub mod sdp;
pub mod stun;
