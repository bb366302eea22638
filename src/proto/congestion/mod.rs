//! Congestion control toward publishers: what arrived when (TWCC feedback), and how much they may send (REMB).
//! Bytes are `wire/rtcp`; estimating the way to a subscriber is not here.

pub mod remb;
pub mod twcc;

pub use remb::BitrateCap;
pub use twcc::FeedbackRecorder;
