//! libFuzzer's way into `bodies/rtcp.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portunus_fuzz::rtcp::run(data));
