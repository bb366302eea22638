//! The program: the machine around the engine.
mod affinity;
mod clock;
mod config;
mod doorbell;
mod fault;
mod inbox;
mod interface;
mod mailbox;
mod media;
mod ring;
mod rooms;
mod socket;
mod udp;
fn main() {}
