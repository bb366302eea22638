//! libFuzzer's way into `bodies/history.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portunus_fuzz::history::run(data));
