//! `cargo xtask fuzz layouts`

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tcptrace_fuzz::layouts(data));
