//! libFuzzer's way into `bodies/srtp_unprotect.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portunus_fuzz::srtp_unprotect::run(data));
