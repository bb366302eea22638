//! Captures of a handle's packets, as an operator asks for them and as the machine gives them a place. What is captured,
//! and until when, is the engine's business; files are the machine's.

use std::fmt;

use crate::wire::pcap::Format;

/// Where captures may be put: the machine's.
pub trait CaptureFolder: Send + Sync + fmt::Debug {
    /// Makes a new file at a path of checked names below the folder. The error is a sentence.
    fn create(&self, path: &[&str]) -> Result<Box<dyn CaptureSink>, String>;
}

/// Takes a capture's bytes. Dropped, the file is complete; one that never got any is taken away.
pub trait CaptureSink: Send + fmt::Debug {
    /// Takes all of it or nothing; never waits.
    fn put(&mut self, bytes: &[u8]) -> Put;
}

/// What became of bytes for a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// They will be written.
    Taken,
    /// There is no room now.
    Full,
    /// Nothing will be written any more.
    Ended,
}

/// What is wanted of a handle's capture.
#[derive(Debug)]
pub enum CaptureOrder {
    Start {
        /// What the file is.
        format: Format,
        /// Bytes of each packet to keep; 0 is all.
        truncate: u64,
        /// The file's path below the folder, to be shown.
        file: Box<str>,
        sink: Box<dyn CaptureSink>,
    },
    /// To end, whatever its format.
    Stop,
}

/// Why a capture does not begin or end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptureError {
    /// There is one already.
    Running,
    /// There is none.
    NotRunning,
    /// The handle has no PeerConnection.
    NoPeer,
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CaptureError::Running => "pcap already started",
            CaptureError::NotRunning => "Capture not started",
            CaptureError::NoPeer => "Error starting pcap dump: the handle has no PeerConnection",
        })
    }
}
