//! Connections behind TLS: what arrives is opened before it is read, and a client that does not speak TLS is told so.

use http::{Method, StatusCode};

use super::connection::Fate;
use super::{ConnectionId, SignallingEngine};
use crate::proto::http::Response;
use crate::proto::tls::Standing;
use crate::time::Now;

impl SignallingEngine {
    /// Bytes of a connection that began, or should begin, with TLS.
    pub(super) fn read_tls(&mut self, now: Now, id: ConnectionId, bytes: &[u8]) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let Some(tls) = &mut connection.tls else { return };
        let was_handshaking = tls.is_handshaking();
        let mut plaintext = Vec::new();
        let standing = tls.receive(bytes, &mut plaintext);
        match tls.output().len() {
            0 => {}
            length if length > self.config.outbox_bytes => {
                self.drops.outbox_overflow += 1;
                return self.end(id, Fate::Drop);
            }
            _ => self.connections.touch(id),
        }
        if !plaintext.is_empty() {
            self.read_plaintext(now, id, &plaintext);
        }
        match standing {
            Standing::Open => {}
            Standing::Ended => self.end(id, Fate::CloseAfterFlush),
            Standing::NotTls => self.answer_plainly(id, bytes),
            Standing::Broken => {
                if was_handshaking {
                    self.drops.tls_handshake_failed += 1;
                } else {
                    self.drops.tls_broken += 1;
                }
                self.end(id, Fate::CloseAfterFlush);
            }
        }
    }

    /// Plain HTTP on a TLS port is answered plainly; anything else is not.
    fn answer_plainly(&mut self, id: ConnectionId, bytes: &[u8]) {
        self.drops.tls_not_spoken += 1;
        let Some(connection) = self.connections.get_mut(id) else { return };
        if !bytes.first().is_some_and(u8::is_ascii_uppercase) {
            return self.end(id, Fate::Drop);
        }
        connection.tls = None;
        let content = b"This port speaks HTTPS: use https:// or wss://\n";
        self.respond(
            id,
            &Method::GET,
            false,
            &Response { content: content.into(), ..Response::plain(StatusCode::BAD_REQUEST) },
        );
    }
}
