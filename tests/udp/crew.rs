//! A thread that carries many peers: for scenes in which each of hundreds does little.

use crate::agent::Agent;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread;

/// How long the thread waits for a datagram before it looks at times and orders.
const GLANCE_MS: libc::c_int = 5;

/// The thread lives until this is dropped and its last peer is gone.
pub struct Crew(Sender<Agent>);

impl Crew {
    /// One without peers.
    pub fn new() -> Crew {
        let (crew, hired) = mpsc::channel();
        thread::spawn(move || work(&hired));
        Crew(crew)
    }

    /// Carries one more.
    pub fn take(&self, agent: Agent) {
        self.0.send(agent).expect("the crew works");
    }
}

fn work(hired: &Receiver<Agent>) {
    let mut agents: Vec<Agent> = vec![];
    let mut sockets: Vec<libc::pollfd> = vec![];
    loop {
        let count = libc::nfds_t::try_from(sockets.len()).expect("few");
        // SAFETY: the descriptors stand in a vector of that length, and live as long as the agents. An error is looked
        // into by who reads next.
        unsafe { libc::poll(sockets.as_mut_ptr(), count, GLANCE_MS) };
        let before = agents.len();
        agents.retain_mut(Agent::turn);
        let mut changed = agents.len() != before;
        loop {
            match hired.try_recv() {
                Ok(agent) => agents.push(agent),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) if agents.is_empty() => return,
                Err(TryRecvError::Disconnected) => break,
            }
            changed = true;
        }
        if changed {
            let wanted = |agent: &Agent| libc::pollfd { fd: agent.share(), events: libc::POLLIN, revents: 0 };
            sockets = agents.iter().map(wanted).collect();
        }
    }
}
