//! What operators have changed since start, and what they want of the machine. Changes of tokens and of whether sessions
//! are let in reach all signalling shards; the other settings are known where changes start.

use std::collections::VecDeque;
use std::time::Duration;

use rand_chacha::rand_core::Rng;

use super::config::SignallingConfig;
use crate::control::command::Settings;
use crate::id::RoomId;
use crate::limits::NO_MEDIA_TIMEOUT;
use crate::proto::session::token::{SigningKey, StoredTokens, Tokens};

/// What an operator wants of the machine around the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MachineRequest {
    /// Log from now on what is of this importance: 0 is nothing, 2 errors, 4 what is ordinary, 7 everything.
    LogLevel(u8),
    /// Log this with such an importance.
    LogLine(u8, Box<str>),
    /// Log that a verb was taken and has no effect, and why.
    WithoutEffect(&'static str, &'static str),
    /// Says in the log what of a new room has no effect.
    Warn(RoomId, &'static str),
}

/// The settings that operators change.
pub(super) struct Operators {
    /// Who may use the API without its secret.
    tokens: Tokens,
    /// Whether new sessions are let in.
    is_accepting: bool,
    /// What media shards have been told last.
    media: Settings,
    /// As Janus counts it: 0 is nothing, 7 everything.
    log_level: u8,
    machine_requests: VecDeque<MachineRequest>,
    /// Verbs of which the log has said that they have no effect.
    without_effect: Vec<&'static str>,
}

impl Operators {
    /// Nothing is changed yet. Stored tokens are compared by a secret of `rng`'s.
    pub fn new(config: &SignallingConfig, rng: &mut impl Rng) -> Operators {
        let tokens = match (&config.token_auth_secret, config.token_auth) {
            (_, false) => Tokens::Off,
            (Some(secret), true) => Tokens::Signed(SigningKey::new(secret)),
            (None, true) => {
                let mut secret = [0; 32];
                rng.fill_bytes(&mut secret);
                Tokens::Stored(StoredTokens::new(&secret))
            }
        };
        Operators {
            tokens,
            is_accepting: true,
            media: Settings { slowlink_threshold: config.slowlink_threshold, no_media_timer: NO_MEDIA_TIMEOUT },
            log_level: config.log_level,
            machine_requests: VecDeque::new(),
            without_effect: Vec::new(),
        }
    }

    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// For changes that all signalling shards have agreed on.
    pub fn tokens_mut(&mut self) -> &mut Tokens {
        &mut self.tokens
    }

    pub fn is_accepting(&self) -> bool {
        self.is_accepting
    }

    pub fn set_accepting(&mut self, is_accepting: bool) {
        self.is_accepting = is_accepting;
    }

    /// What media shards are to have.
    pub fn media(&self) -> Settings {
        self.media
    }

    /// Packets lost in a second from which on a link is slow; 0 is never.
    pub fn set_slowlink_threshold(&mut self, threshold: u32) {
        self.media.slowlink_threshold = threshold;
    }

    /// After how long without packets a medium is silent.
    pub fn set_no_media_timer(&mut self, timer: Duration) {
        self.media.no_media_timer = timer;
    }

    pub fn log_level(&self) -> u8 {
        self.log_level
    }

    /// The machine is told.
    pub fn set_log_level(&mut self, level: u8) {
        self.log_level = level;
        self.request(MachineRequest::LogLevel(level));
    }

    /// Has the machine do something.
    pub fn request(&mut self, request: MachineRequest) {
        self.machine_requests.push_back(request);
    }

    /// What the machine is to do next.
    pub fn poll(&mut self) -> Option<MachineRequest> {
        self.machine_requests.pop_front()
    }

    /// The log says once of each verb that it was taken in vain.
    pub fn note_without_effect(&mut self, verb: &'static str, why: &'static str) {
        if !self.without_effect.contains(&verb) {
            self.without_effect.push(verb);
            self.request(MachineRequest::WithoutEffect(verb, why));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    fn operators(change: impl FnOnce(&mut SignallingConfig)) -> Operators {
        let mut config = SignallingConfig::new([0; 32]);
        change(&mut config);
        Operators::new(&config, &mut ChaCha20Rng::from_seed([1; 32]))
    }

    #[test]
    fn tokens_are_off_signed_or_stored_as_configured() {
        let secret = Some("secret".to_owned());
        assert!(matches!(operators(|_| {}).tokens(), Tokens::Off));
        assert!(matches!(operators(|it| it.token_auth_secret = secret.clone()).tokens(), Tokens::Off));
        assert!(matches!(operators(|it| it.token_auth = true).tokens(), Tokens::Stored(_)));
        let signed = operators(|it| (it.token_auth, it.token_auth_secret) = (true, secret));
        assert!(matches!(signed.tokens(), Tokens::Signed(_)));
    }

    #[test]
    fn the_machine_hears_each_request_in_order_and_of_a_vain_verb_once() {
        let mut operators = operators(|it| it.log_level = 4);
        operators.note_without_effect("resend_trickles", "why");
        operators.set_log_level(7);
        operators.note_without_effect("resend_trickles", "why");
        assert_eq!(operators.log_level(), 7);
        let heard: Vec<_> = std::iter::from_fn(|| operators.poll()).collect();
        assert_eq!(heard, [MachineRequest::WithoutEffect("resend_trickles", "why"), MachineRequest::LogLevel(7)]);
    }

    #[test]
    fn settings_of_media_start_as_configured_and_change_one_by_one() {
        let mut operators = operators(|it| it.slowlink_threshold = 4);
        assert_eq!((operators.media().slowlink_threshold, operators.media().no_media_timer), (4, NO_MEDIA_TIMEOUT));
        operators.set_no_media_timer(Duration::from_secs(9));
        assert_eq!(
            (operators.media().slowlink_threshold, operators.media().no_media_timer),
            (4, Duration::from_secs(9))
        );
    }
}
