//! The real program, driven by small native clients over real sockets: a Janus client on WebSocket and a peer made of
//! the library's own parts. What is proven here is what only the whole machine can show: that every packet arrives and
//! is intact, behind a slow link, among strangers, and while people come and go.

mod agent;
mod bad_input;
mod call;
mod capture;
mod cascade;
mod churn;
mod client;
mod clock;
mod crew;
mod ending;
mod forward;
mod inputs;
mod laggards;
mod link;
mod media;
mod multitude;
mod peer;
#[path = "../kit/sdp.rs"]
mod sdp;
mod server;
mod signalling;
mod slow_link;
mod spread;
mod strangers;
mod trespass;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Scenarios run one at a time: they count packets, and the machine has few cores.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
