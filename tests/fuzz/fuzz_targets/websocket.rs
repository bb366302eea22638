//! libFuzzer's way into `bodies/websocket.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portunus_fuzz::websocket::run(data));
