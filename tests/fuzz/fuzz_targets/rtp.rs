//! libFuzzer's way into `bodies/rtp.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portunus_fuzz::rtp::run(data));
