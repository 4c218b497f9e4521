//! The fault lab: each fault made for real in a separate network namespace, and the report of `tcptrace diagnose`; and
//! for each fault a look-alike that is harmless.

mod closing;
mod connecting;
mod lab;
mod listening;
mod phantoms;
mod report;
mod resets;
mod scenario;
mod standing;
