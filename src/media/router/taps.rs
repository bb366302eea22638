//! Captures of a room's handles begin and end.

use super::HostedRoom;
use crate::control::capture::{CaptureError, CaptureOrder};
use crate::id::HandleAddress;
use crate::media::tap::Capture;
use crate::media::turn::Turn;

impl HostedRoom {
    /// Begins or ends the capture of a handle's PeerConnection; it ends with that at the latest.
    pub fn capture(&mut self, turn: &Turn<'_>, handle: HandleAddress, order: CaptureOrder) -> Result<(), CaptureError> {
        let member = self.room.roster().member(handle);
        let peer = member.and_then(|member| self.peers.get_mut(member.0)).ok_or(CaptureError::NoPeer)?;
        let slot = peer.capture();
        match order {
            CaptureOrder::Start { .. } if slot.is_some() => Err(CaptureError::Running),
            CaptureOrder::Start { format, truncate, file, sink } => {
                *slot = Some(Box::new(Capture::begin(sink, file, format, truncate, turn.now.mono)));
                Ok(())
            }
            CaptureOrder::Stop => slot.take().map(drop).ok_or(CaptureError::NotRunning),
        }
    }
}
