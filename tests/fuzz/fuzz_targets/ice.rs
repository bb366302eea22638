//! libFuzzer's way into `bodies/ice.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portunus_fuzz::ice::run(data));
