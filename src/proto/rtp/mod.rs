//! What is remembered of one RTP stream: how it arrives, what of it is missing, and what is reported about it. RFC 3550 §6.4, appendix A.
//! Bytes are `wire/rtp` and `wire/rtcp`; who gets the packets is `room`.

pub mod arrival;
pub mod loss;
pub mod renumber;
pub mod report;
pub mod selection;

pub use arrival::{Admission, Arrival};
pub use loss::{Losses, Receipt};
pub use renumber::Renumber;
pub use report::{PublisherClock, SenderClock, round_trip};
pub use selection::{Choice, Selection};
