//! libFuzzer's way into `bodies/jcfg.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portunus_fuzz::jcfg::run(data));
