//! libFuzzer's way into `bodies/rewrite.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portunus_fuzz::rewrite::run(data));
