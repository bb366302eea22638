//! libFuzzer's way into `bodies/sdp.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portunus_fuzz::sdp::run(data));
