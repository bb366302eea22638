//! Janus clients' conversations with the signalling engine: transcripts of requests and expected replies, with a
//! scripted media shard behind, and the cases that no transcript can show.

mod autobahn;
mod client;
mod limits;
mod operators;
mod rest;
mod shard;
mod signalling_shards;
mod transcript;
mod world;

use std::path::Path;

/// Runs every transcript of one folder; all failures are told, not only the first.
fn run_folder(folder: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/janus").join(folder);
    let mut paths: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    let failures: Vec<String> = paths
        .iter()
        .filter_map(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            transcript::run(&text).err().map(|error| format!("{}: {error}", path.file_name().unwrap().display()))
        })
        .collect();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn core_transcripts() {
    run_folder("core");
}

#[test]
fn event_transcripts() {
    run_folder("events");
}

#[test]
fn admin_transcripts() {
    run_folder("admin");
}

#[test]
fn rest_transcripts() {
    run_folder("rest");
}

#[test]
fn videoroom_transcripts() {
    run_folder("videoroom");
}
