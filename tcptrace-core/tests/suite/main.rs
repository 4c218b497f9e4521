//! The pure half of tcptrace, by inputs that are made up.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::cast_possible_truncation, reason = "small numbers, made here")]
#![allow(clippy::needless_pass_by_value, reason = "events are made to be given away")]

mod causes;
mod children;
mod common;
mod decode;
mod detect;
mod detect_accepting;
mod detect_ages;
mod detect_connects;
mod detect_destinations;
mod detect_flood;
mod detect_leaks;
mod detect_listening;
mod detect_phantom;
mod detect_ports;
mod detect_properties;
mod detect_resets;
mod detect_resets_here;
mod detect_scans;
mod detect_stalled;
mod detect_stuck;
mod findings_json;
mod findings_life;
mod half_open_sinks;
mod life;
mod lives;
mod machine;
mod model;
mod ownership;
mod payload;
mod preexisting;
mod schemas;
mod signals;
mod sinks;
mod timewait;
mod tracker;
mod watched;
