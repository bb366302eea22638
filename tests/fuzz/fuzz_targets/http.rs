//! libFuzzer's way into `bodies/http.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portunus_fuzz::http::run(data));
