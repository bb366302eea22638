//! libFuzzer's way into `bodies/demux_dtls.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portunus_fuzz::demux_dtls::run(data));
