//! What a forwarder must know of a payload: where frames begin, keyframes, layers. Never the picture itself.

pub mod av1;
pub mod h264;
pub mod h265;
pub mod vp8;
pub mod vp9;

/// What a payload of a codec with separate parameter sets has of a point at which decoding can begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryPoint {
    /// Parameter sets, perhaps with the picture behind them: decoding can begin here.
    ParameterSets,
    /// The beginning of a picture that needs no other picture, but whose parameter sets are elsewhere.
    Picture,
}

impl EntryPoint {
    /// What two units of one payload are together.
    fn or(self, other: Option<EntryPoint>) -> EntryPoint {
        if other == Some(EntryPoint::ParameterSets) { EntryPoint::ParameterSets } else { self }
    }
}
