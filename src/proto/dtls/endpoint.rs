//! One side of one DTLS association over the library's state machine: phases, timers, the fingerprint check, the export of SRTP keys.
//! It does not know ICE, SDP or SRTP. RFC 6347, RFC 5764, RFC 5763.

use super::certificate::is_shown_by;
use super::memory::{Datagrams, Memory};
use super::{CloseReason, Context, DATA_MAX, DtlsError, DtlsEvent, Fingerprint, Handshake, KeyingMaterial, MTU, Role};
use super::{clock, record};
use crate::limits::{DATAGRAM_MAX, DTLS_TIMEOUT};
use crate::time::{Mono, Now};
use arrayvec::ArrayVec;
use openssl::ssl::{self, ErrorCode, Ssl, SslStream};
use std::time::Duration;

/// First repetition of a lost flight. RFC 6347 §4.2.4.1 suggests 1 s and allows less where latency matters; ICE has just shown a short path.
const INITIAL_TIMEOUT: Duration = Duration::from_millis(100);

/// A DTLS 1.2 endpoint.
pub struct Endpoint {
    stream: SslStream<Memory>,
    role: Role,
    phase: Phase,
    /// What the SDP says the peer's certificate hashes to.
    remote: Option<Fingerprint>,
    /// When the library wants to repeat a flight.
    repeat: Mono,
    /// When an association that is not connected ends.
    give_up: Mono,
    events: ArrayVec<DtlsEvent, 2>,
    data: Datagrams,
    ignored: u64,
    opened: u64,
    /// The cipher suites of the ClientHello, until the handshake is complete.
    offered: Box<[u16]>,
    /// The random of the ClientHello that the association began with.
    client_random: Option<[u8; 32]>,
}

#[derive(Clone, Copy)]
enum Phase {
    /// Before our ClientHello, or before theirs.
    Idle,
    Handshaking,
    /// Complete, with a certificate that the SDP has not confirmed yet.
    Unverified,
    Connected,
    Closed,
}

impl Endpoint {
    /// An endpoint at rest. Fails only when the library has no memory.
    pub fn new(context: &Context, role: Role) -> Result<Self, DtlsError> {
        Self::with_mtu(context, role, MTU)
    }

    pub(super) fn with_mtu(context: &Context, role: Role, mtu: usize) -> Result<Self, DtlsError> {
        let mut ssl = Ssl::new(&context.ssl)?;
        // Without it the library, told not to ask the socket, finds no room for a message and never returns.
        ssl.set_mtu(u32::try_from(mtu).unwrap_or(u32::MAX))?;
        clock::set_initial_timeout(&mut ssl, INITIAL_TIMEOUT);
        clock::shed_handshake_config(&mut ssl);
        match role {
            Role::Active => ssl.set_connect_state(),
            Role::Passive => ssl.set_accept_state(),
        }
        Ok(Endpoint {
            stream: SslStream::new(ssl, Memory::default())?,
            role,
            phase: Phase::Idle,
            remote: None,
            repeat: Mono::NEVER,
            give_up: Mono::NEVER,
            events: ArrayVec::new(),
            data: Datagrams::default(),
            ignored: 0,
            opened: 0,
            offered: Box::default(),
            client_random: None,
        })
    }

    /// Lets the library work on what is in memory.
    fn advance(&mut self, now: Now) {
        clock::set(now);
        if matches!(self.phase, Phase::Handshaking) {
            match self.stream.do_handshake() {
                Ok(()) => self.complete(),
                Err(error) => self.judge(&error),
            }
        }
        self.read();
        self.update_timer(now);
    }

    fn update_timer(&mut self, now: Now) {
        self.repeat = match self.phase {
            Phase::Closed => Mono::NEVER,
            _ => clock::timeout(self.stream.ssl(), now),
        };
    }

    /// The handshake is done.
    fn complete(&mut self) {
        if self.stream.ssl().peer_certificate().is_none() {
            return self.end(CloseReason::Protocol);
        }
        self.phase = Phase::Unverified;
        self.verify();
    }

    /// Compares the certificate with the SDP as soon as both are known.
    fn verify(&mut self) {
        let Some(expected) = self.remote else { return };
        let is_other = || !self.stream.ssl().peer_certificate().is_some_and(|x509| is_shown_by(&expected, &x509));
        match self.phase {
            Phase::Unverified | Phase::Connected if is_other() => self.end(CloseReason::Fingerprint),
            Phase::Unverified => match self.export() {
                Some((profile, keying_material)) => {
                    self.phase = Phase::Connected;
                    self.give_up = Mono::NEVER;
                    self.offered = Box::default();
                    self.events.push(DtlsEvent::Connected { profile, keying_material, role: self.role });
                }
                None => self.end(CloseReason::Protocol),
            },
            Phase::Idle | Phase::Handshaking | Phase::Connected | Phase::Closed => {}
        }
    }

    /// The negotiated profile with keys of its lengths (RFC 5764 §4.1.2, RFC 7714 §12); `None` without one.
    fn export(&self) -> Option<(u16, KeyingMaterial)> {
        let ssl = self.stream.ssl();
        let profile = u16::try_from(ssl.selected_srtp_profile()?.id().as_raw()).ok()?;
        let key_and_salt = match profile {
            0x0001 | 0x0002 => 16 + 14, // AES_128_CM_HMAC_SHA1_80 and _32
            0x0007 => 16 + 12,          // AEAD_AES_128_GCM
            0x0008 => 32 + 12,          // AEAD_AES_256_GCM
            _ => return None,
        };
        let mut bytes = [0; 2 * (32 + 12)];
        let bytes = &mut bytes[..2 * key_and_salt];
        ssl.export_keying_material(bytes, "EXTRACTOR-dtls_srtp", None).ok()?;
        Some((profile, KeyingMaterial::new(bytes)?))
    }

    /// Reads records of the finished handshake: application data, alerts, repeated Finished messages.
    fn read(&mut self) {
        let mut bytes = [0; DATAGRAM_MAX];
        while matches!(self.phase, Phase::Unverified | Phase::Connected) {
            match self.stream.ssl_read(&mut bytes) {
                Ok(len) if matches!(self.phase, Phase::Connected) => {
                    self.opened += 1;
                    self.data.push(&bytes[..len]);
                }
                Ok(_) => {} // who sent it is not known yet
                Err(error) if error.code() == ErrorCode::WANT_READ => return,
                Err(error) => self.judge(&error),
            }
        }
    }

    /// What an error of the library means for the association.
    fn judge(&mut self, error: &ssl::Error) {
        /// A received fatal alert is reported as this plus its description (SSL_AD_REASON_OFFSET).
        const ALERT_REASON: i32 = 1000;
        let alert = |stack: &openssl::error::ErrorStack| stack.errors().iter().any(|e| e.reason_code() >= ALERT_REASON);
        match error.code() {
            ErrorCode::WANT_READ => {}
            ErrorCode::ZERO_RETURN => self.end(CloseReason::Alert),
            _ if error.ssl_error().is_some_and(alert) => self.end(CloseReason::Alert),
            _ => self.end(CloseReason::Protocol),
        }
    }

    fn end(&mut self, reason: CloseReason) {
        self.shut();
        self.events.push(DtlsEvent::Closed(reason));
    }

    /// Says close_notify, or nothing where an alert was already sent or no handshake is complete, and stops all timers.
    fn shut(&mut self) {
        let _ = self.stream.shutdown();
        self.phase = Phase::Closed;
        self.repeat = Mono::NEVER;
        self.give_up = Mono::NEVER;
    }
}

impl Handshake for Endpoint {
    fn start(&mut self, now: Now) {
        if matches!(self.phase, Phase::Idle) && self.give_up == Mono::NEVER {
            self.give_up = now.mono + DTLS_TIMEOUT;
            if self.role == Role::Active {
                self.phase = Phase::Handshaking;
                self.advance(now);
            }
        }
    }

    fn handle_datagram(&mut self, now: Now, bytes: &[u8]) {
        let records = record::well_formed(bytes);
        let expected = match self.phase {
            Phase::Idle => self.role == Role::Passive && record::is_client_hello(records),
            Phase::Closed => false,
            Phase::Handshaking | Phase::Unverified | Phase::Connected => true,
        };
        if records.is_empty() || bytes.len() > DATAGRAM_MAX || !expected {
            self.ignored += 1;
            return;
        }
        if matches!(self.phase, Phase::Idle) {
            self.start(now);
            self.phase = Phase::Handshaking;
            self.offered = record::offered_suites(records);
        }
        if self.client_random.is_none() && self.role == Role::Passive {
            self.client_random = record::client_random(records);
        }
        let was_finished = !matches!(self.phase, Phase::Handshaking);
        let before = (self.data.len(), self.stream.get_ref().outbound.len());
        self.stream.get_mut().receive(records);
        self.advance(now);
        let after = (self.data.len(), self.stream.get_ref().outbound.len());
        if was_finished && before == after && !matches!(self.phase, Phase::Closed) {
            self.ignored += 1;
        }
    }

    fn handle_timeout(&mut self, now: Now) {
        if now.mono >= self.give_up {
            self.end(CloseReason::Timeout);
        } else if now.mono >= self.repeat {
            match clock::handle_timeout(&mut self.stream, now) {
                Ok(()) => self.update_timer(now),
                Err(_) => self.end(CloseReason::Timeout),
            }
        }
    }

    fn deadline(&self) -> Mono {
        self.repeat.min(self.give_up)
    }

    fn set_remote_fingerprint(&mut self, fingerprint: Fingerprint) {
        self.remote = Some(fingerprint);
        self.verify();
    }

    fn poll_transmit(&mut self, out: &mut [u8]) -> Option<usize> {
        self.stream.get_mut().outbound.pop_into(out)
    }

    fn poll_event(&mut self) -> Option<DtlsEvent> {
        self.events.pop_at(0)
    }

    fn poll_data(&mut self, out: &mut [u8]) -> Option<usize> {
        self.data.pop_into(out)
    }

    fn send_data(&mut self, bytes: &[u8]) -> bool {
        let connected = matches!(self.phase, Phase::Connected);
        let fits = (1..=DATA_MAX).contains(&bytes.len()) && self.stream.get_ref().outbound.has_room();
        connected && fits && self.stream.ssl_write(bytes).is_ok()
    }

    fn close(&mut self) {
        if !matches!(self.phase, Phase::Closed) {
            self.shut();
        }
    }

    fn is_of_another_client(&self, bytes: &[u8]) -> bool {
        let Some(begun) = self.client_random else { return false };
        record::client_random(bytes).is_some_and(|random| random != begun)
    }

    fn offered(&self) -> &[u16] {
        &self.offered
    }

    fn opened(&self) -> u64 {
        self.opened
    }

    fn ignored(&self) -> u64 {
        self.ignored
    }
}
