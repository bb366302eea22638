//! SDP: text to [`Description`] and back (RFC 8866, RFC 8839, RFC 8842, RFC 9143).

mod compose;
mod description;
mod error;
mod fingerprint;
mod lines;
mod parse;
mod token;

pub use compose::compose;
pub use description::*;
pub use error::SdpError;
pub use fingerprint::{Fingerprint, FingerprintError};
pub use parse::parse;

/// Offers and answers of browsers, and offers in the wild with one thing odd about each.
#[cfg(test)]
pub(crate) mod vectors {
    macro_rules! vector {
        ($name:literal) => {
            include_str!(concat!("../../../tests/vectors/sdp/", $name, ".sdp"))
        };
    }

    pub const CHROMIUM_PUBLISH: &str = vector!("chromium-offer-publish");
    pub const CHROMIUM_SENDRECV_DATA: &str = vector!("chromium-offer-sendrecv-data");
    pub const CHROMIUM_SIMULCAST: &str = vector!("chromium-offer-simulcast");
    pub const CHROMIUM_RECVONLY_INACTIVE: &str = vector!("chromium-offer-recvonly-inactive");
    pub const CHROMIUM_ANSWER: &str = vector!("chromium-answer-subscribe");
    pub const FIREFOX_LIKE: &str = vector!("firefox-like-offer");
    pub const FIREFOX_PUBLISH: &str = vector!("firefox-offer-publish");
    pub const FIREFOX_SENDRECV_DATA: &str = vector!("firefox-offer-sendrecv-data");
    pub const FIREFOX_SIMULCAST: &str = vector!("firefox-offer-simulcast");
    pub const FIREFOX_ANSWER: &str = vector!("firefox-answer-subscribe");
    pub const SAFARI_LIKE: &str = vector!("safari-like-offer");
    pub const GST_NONE: &str = vector!("gst-none");
    pub const PLAN_B: &str = vector!("planb-two-tracks");
    pub const H264_SPROP: &str = vector!("h264-sprop");
    pub const ODD_BANDWIDTH: &str = vector!("b-float");
    pub const ODD_ORIGIN: &str = vector!("o-huge");
    pub const ODD_SETUP: &str = vector!("setup-holdconn");
    pub const ODD_SPACES: &str = vector!("trailing-space-mid");
    pub const EXTRA_TEXT: &str = vector!("extra-m-text");
    pub const ALL: [&str; 11] = [
        CHROMIUM_PUBLISH,
        CHROMIUM_SENDRECV_DATA,
        CHROMIUM_SIMULCAST,
        CHROMIUM_RECVONLY_INACTIVE,
        CHROMIUM_ANSWER,
        FIREFOX_LIKE,
        FIREFOX_PUBLISH,
        FIREFOX_SENDRECV_DATA,
        FIREFOX_SIMULCAST,
        FIREFOX_ANSWER,
        SAFARI_LIKE,
    ];
}
