//! libFuzzer's way into `bodies/stun.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portunus_fuzz::stun::run(data));
