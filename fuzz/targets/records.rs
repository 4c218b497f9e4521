//! `cargo xtask fuzz records`

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tcptrace_fuzz::records(data));
