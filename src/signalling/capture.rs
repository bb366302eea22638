//! `start_pcap`, `stop_pcap` and their like for text: the file is made where operators have allowed it, then the room's
//! shard is told. Which names a file may have is decided here, how it is written elsewhere.

use rand_chacha::rand_core::Rng;
use serde_json::json;

use super::{SignallingEngine, Waiting};
use crate::control::capture::{CaptureError, CaptureOrder};
use crate::control::command::{Command, Reply};
use crate::id::{HandleId, SessionId};
use crate::proto::session::Asker;
use crate::time::Now;
use crate::videoroom::error::PluginError;
use crate::wire::janus::admin;
use crate::wire::janus::admin::request::CaptureFile;
use crate::wire::janus::envelope::Request;
use crate::wire::janus::error::CoreError;
use crate::wire::pcap::Format;

/// An operator's order that waits for the room's shard.
#[derive(Debug)]
pub(super) struct CaptureRequest {
    asker: Asker,
    transaction: Box<str>,
    session: SessionId,
}

impl SignallingEngine {
    /// `start_pcap` and `start_text2pcap`.
    pub(super) fn start_capture(
        &mut self,
        now: Now,
        asker: Asker,
        request: &Request<'_>,
        of: (SessionId, HandleId),
        format: Format,
    ) -> Result<(), CoreError> {
        let folder = self.config.capture_folder.clone().ok_or(CoreError::NoCaptureFolder)?;
        let file = CaptureFile::parse(request.fields)?;
        if self.sessions.handle(of.0, of.1).is_some_and(|handle| handle.seat.is_none()) {
            return Err(CoreError::Capture(CaptureError::NoPeer.to_string().into()));
        }
        let minted = format!("portunus-{:016x}.{}", self.rng.next_u64(), format.ending());
        let path: Vec<&str> = file.folder.iter().copied().chain([file.name.unwrap_or(&minted)]).collect();
        let sink = folder
            .create(&path)
            .map_err(|sentence| CoreError::Capture(format!("Error starting pcap dump: {sentence}").into()))?;
        let order = CaptureOrder::Start { format, truncate: file.truncate, file: path.join("/").into(), sink };
        self.order_capture(now, asker, request, of, order)
    }

    /// `stop_pcap` and `stop_text2pcap`; either ends either.
    pub(super) fn stop_capture(
        &mut self,
        now: Now,
        asker: Asker,
        request: &Request<'_>,
        of: (SessionId, HandleId),
    ) -> Result<(), CoreError> {
        self.order_capture(now, asker, request, of, CaptureOrder::Stop)
    }

    fn order_capture(
        &mut self,
        now: Now,
        asker: Asker,
        request: &Request<'_>,
        (session, handle): (SessionId, HandleId),
        order: CaptureOrder,
    ) -> Result<(), CoreError> {
        let Some(seat) = self.sessions.handle(session, handle).and_then(|handle| handle.seat.clone()) else {
            return Err(CoreError::Capture(CaptureError::NotRunning.to_string().into()));
        };
        let command = Command::Capture { room: seat.room, handle: self.address(session, handle), order };
        let waiting = CaptureRequest { asker, transaction: request.transaction.into(), session };
        self.ask(now.mono, seat.owner, command, Waiting::Capture(Box::new(waiting)));
        Ok(())
    }

    /// The room's shard has answered, or never will.
    pub(super) fn conclude_capture(&mut self, of: &CaptureRequest, reply: Result<Reply, PluginError>) {
        let error = match reply {
            Ok(Reply::Capture(Ok(()))) => {
                return self.say(of.asker, admin::success(Some(of.session), &of.transaction, &json!({})));
            }
            Ok(Reply::Capture(Err(error))) => CoreError::Capture(error.to_string().into()),
            _ => CoreError::Incomplete,
        };
        self.refuse(of.asker, Some(of.session), Some(&of.transaction), &error);
    }
}
