//! `cargo xtask fuzz captures`

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tcptrace_fuzz::captures(data));
