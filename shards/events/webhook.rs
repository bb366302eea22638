//! The handler that posts events to a URL, as Janus' sample handler does, but for statuses: what the other side could not
//! take (5xx, 408, 429) is posted again like what did not reach it. A batch keeps its place until it is through or lost.

use super::endpoint::Endpoint;
use super::http::Head;
use super::stream::Stream;
use super::{Queue, Trouble, backoff, join};
use crate::config::handlers::Webhook;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{self, Write};
use std::time::{Duration, Instant};
use std::{fmt, thread};

/// A look at the queue takes so long when nothing comes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Posts until there is nobody any more to have events.
pub fn run(webhook: Webhook, mut queue: Queue) {
    let mut trouble = Trouble::with(&webhook.endpoint);
    let mut client = Client { endpoint: webhook.endpoint, timeout: webhook.timeout, connection: None };
    while let Ok(events) = queue.take(PATIENCE) {
        if events.is_empty() {
            continue;
        }
        let content = encode(join(&events, queue.group).into_bytes(), webhook.compression);
        let mut tries = 0;
        let counter = loop {
            let failure = match client.post(&content, webhook.compression.is_some()) {
                Ok(200..300) => {
                    trouble.over();
                    break &queue.counts.sent;
                }
                Ok(status @ (408 | 429 | 500..)) => Failure::Status(status),
                Ok(status) => {
                    trouble.found(&Failure::Status(status));
                    break &queue.counts.undelivered;
                }
                Err(error) => Failure::Transport(error),
            };
            trouble.found(&failure);
            tries += 1;
            if tries > webhook.retries {
                break &queue.counts.undelivered;
            }
            thread::sleep(backoff(webhook.backoff, tries));
            queue.retried();
        };
        queue.done(&events, counter);
    }
}

enum Failure {
    Status(u16),
    Transport(io::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Status(status) => write!(f, "the answer is {status}"),
            Failure::Transport(error) if error.kind() == io::ErrorKind::WouldBlock => f.write_str("it takes too long"),
            Failure::Transport(error) => error.fmt(f),
        }
    }
}

/// RFC 1952, when that is wanted.
fn encode(content: Vec<u8>, level: Option<u32>) -> Vec<u8> {
    let Some(level) = level else { return content };
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
    // Writing into memory cannot fail.
    encoder.write_all(&content).and_then(|()| encoder.finish()).expect("memory takes everything")
}

/// The other side, with the connection that is left from the last time.
struct Client {
    endpoint: Endpoint,
    timeout: Duration,
    connection: Option<Stream>,
}

impl Client {
    /// One try, and the status of the answer.
    fn post(&mut self, content: &[u8], is_compressed: bool) -> io::Result<u16> {
        let deadline = Instant::now() + self.timeout;
        let mut stream = match self.connection.take().filter(Stream::is_quiet) {
            Some(mut stream) => {
                stream.set_deadline(deadline);
                stream
            }
            None => Stream::connect(&self.endpoint, deadline)?,
        };
        let mut request = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
            self.endpoint.target,
            self.endpoint.authority(),
            content.len(),
        );
        if let Some(authorization) = &self.endpoint.authorization {
            request += &format!("Authorization: {authorization}\r\n");
        }
        if is_compressed {
            request += "Content-Encoding: gzip\r\n";
        }
        request += "\r\n";
        let whole = [request.as_bytes(), content].concat();
        stream.write_all(&whole)?;
        stream.flush()?;
        let head = Head::read(&mut stream)?;
        if head.pass_content(&mut stream) {
            self.connection = Some(stream);
        }
        Ok(head.status)
    }
}
