//! `cargo xtask fuzz settings`

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tcptrace_fuzz::settings(data));
