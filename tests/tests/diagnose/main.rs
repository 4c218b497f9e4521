//! The fault lab: each fault made for real in a network namespace of its own, and what `tcptrace diagnose` says of it;
//! and for each what looks like it and is none.

mod closing;
mod connecting;
mod lab;
mod listening;
mod phantoms;
mod report;
mod resets;
mod scenario;
mod standing;
