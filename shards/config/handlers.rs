//! What the operator says about event handlers: two tables of the file, with Janus' names where it has them, and what they
//! mean together with the URLs.

use super::error::ConfigError;
use super::settings::{BLOT, Settings};
use crate::events::endpoint::Endpoint;
use portunus::wire::janus::events::Mask;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// `[event_webhook_options]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookTable {
    events: Option<String>,
    grouping: Option<bool>,
    backend_user: Option<String>,
    backend_pwd: Option<String>,
    compress: Option<bool>,
    compression: Option<u32>,
    max_retransmissions: Option<u32>,
    retransmissions_backoff: Option<u64>,
    timeout: Option<u64>,
}

/// `[event_websocket_options]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebSocketTable {
    events: Option<String>,
    grouping: Option<bool>,
    subprotocol: Option<String>,
}

/// The handlers as they take effect.
pub struct Handlers {
    /// Posts.
    pub webhook: Option<Webhook>,
    /// Sends.
    pub websocket: Option<WebSocket>,
    /// How often media statistics are made; zero is never.
    pub stats_period: Duration,
    /// Events that may wait for each handler.
    pub queue: usize,
}

/// The handler that posts.
pub struct Webhook {
    /// Where to.
    pub endpoint: Endpoint,
    /// What.
    pub events: Mask,
    /// Several at a time, as an array.
    pub grouping: bool,
    /// The level of gzip, 0 to 9; none is as it is.
    pub compression: Option<u32>,
    /// Tries after the first.
    pub retries: u32,
    /// The pause before the first of them; each next one is twice as long.
    pub backoff: Duration,
    /// How long one try may take.
    pub timeout: Duration,
}

/// The handler that sends over a WebSocket.
pub struct WebSocket {
    /// Where to.
    pub endpoint: Endpoint,
    /// What.
    pub events: Mask,
    /// Several at a time, as an array.
    pub grouping: bool,
    /// What is spoken.
    pub subprotocol: String,
    /// The pause before connecting again; each next one is twice as long.
    pub backoff: Duration,
}

impl Handlers {
    /// Checks what is said about handlers.
    pub fn new(all: &Settings) -> Result<Handlers, ConfigError> {
        let queue = all.event_queue.unwrap_or_default();
        if !(1..=QUEUE_MAX).contains(&queue) {
            return Err(ConfigError::Value("event_queue", format!("{queue} is not in 1..{QUEUE_MAX}")));
        }
        Ok(Handlers {
            webhook: all.event_webhook.as_deref().map(|url| webhook(url, all)).transpose()?,
            websocket: all.event_websocket.as_deref().map(|url| websocket(url, all)).transpose()?,
            stats_period: Duration::from_secs(all.event_stats_period.unwrap_or_default()),
            queue,
        })
    }

    /// What any of them wants.
    pub fn mask(&self) -> Mask {
        let webhook = self.webhook.as_ref().map_or(Mask::NONE, |webhook| webhook.events);
        webhook.union(self.websocket.as_ref().map_or(Mask::NONE, |websocket| websocket.events))
    }

    /// What Janus calls those that there are.
    pub fn packages(&self) -> Vec<&'static str> {
        let webhook = self.webhook.as_ref().map(|_| "janus.eventhandler.sampleevh");
        webhook.into_iter().chain(self.websocket.as_ref().map(|_| "janus.eventhandler.wsevh")).collect()
    }
}

/// Hides what of the settings may be a secret: they are shown.
pub fn blot(all: &mut Settings) {
    for (url, schemes) in [(&mut all.event_webhook, HTTP), (&mut all.event_websocket, WS)] {
        if let Some(text) = url {
            *text =
                Endpoint::parse(text, schemes, None).map_or_else(|_| String::new(), |endpoint| endpoint.to_string());
        }
    }
    if let Some(table) = &mut all.event_webhook_options {
        table.backend_pwd = table.backend_pwd.take().map(|_| BLOT.into());
    }
}

const HTTP: [&str; 2] = ["http", "https"];
const WS: [&str; 2] = ["ws", "wss"];
/// With `events::QUEUE_BYTES` in mind, more would not help.
const QUEUE_MAX: usize = 1 << 20;
/// What Janus' own handler asks for.
const SUBPROTOCOL: &str = "janus-event-handlers";

fn webhook(url: &str, all: &Settings) -> Result<Webhook, ConfigError> {
    let table = all.event_webhook_options.clone().unwrap_or_default();
    let wrong = |sentence: String| ConfigError::Value("event_webhook_options", sentence);
    let credentials = match (&table.backend_user, &table.backend_pwd) {
        (None, None) => None,
        (Some(user), Some(password)) => Some((&**user, &**password)),
        _ => return Err(wrong("backend_user and backend_pwd go together".into())),
    };
    let endpoint = Endpoint::parse(url, HTTP, credentials);
    let level = table.compression.unwrap_or(6);
    if level > 9 {
        return Err(wrong(format!("compression {level} is more than 9")));
    }
    let timeout = table.timeout.unwrap_or(10);
    if timeout == 0 {
        return Err(wrong("a timeout of 0 would let nothing through".into()));
    }
    Ok(Webhook {
        endpoint: endpoint.map_err(|sentence| ConfigError::Value("event_webhook", sentence))?,
        events: mask(table.events.as_deref()).map_err(wrong)?,
        grouping: table.grouping.unwrap_or(true),
        compression: table.compress.unwrap_or_default().then_some(level),
        retries: table.max_retransmissions.unwrap_or(5),
        backoff: Duration::from_millis(table.retransmissions_backoff.unwrap_or(100)),
        timeout: Duration::from_secs(timeout),
    })
}

fn websocket(url: &str, all: &Settings) -> Result<WebSocket, ConfigError> {
    let table = all.event_websocket_options.clone().unwrap_or_default();
    let wrong = |sentence: String| ConfigError::Value("event_websocket_options", sentence);
    let subprotocol = table.subprotocol.unwrap_or_else(|| SUBPROTOCOL.into());
    if subprotocol.is_empty() || !subprotocol.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    {
        return Err(wrong(format!("{subprotocol:?} is no subprotocol")));
    }
    let endpoint = Endpoint::parse(url, WS, None);
    Ok(WebSocket {
        endpoint: endpoint.map_err(|sentence| ConfigError::Value("event_websocket", sentence))?,
        events: mask(table.events.as_deref()).map_err(wrong)?,
        grouping: table.grouping.unwrap_or(true),
        subprotocol,
        backoff: Duration::from_millis(100),
    })
}

fn mask(labels: Option<&str>) -> Result<Mask, String> {
    Mask::parse(labels.unwrap_or("all")).map_err(|unknown| unknown.to_string())
}
