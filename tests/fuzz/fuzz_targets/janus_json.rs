//! libFuzzer's way into `bodies/janus_json.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portunus_fuzz::janus_json::run(data));
