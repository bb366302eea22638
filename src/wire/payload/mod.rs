//! What a forwarder must know of a payload: where frames begin, keyframes, layers. Never the picture itself.

pub mod vp8;
