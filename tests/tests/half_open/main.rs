//! Half-open connections: what tcptrace tells of them is what `ss` and the namespace's own counters say, and what the
//! test did itself.

mod attached;
mod born;
mod flood;
mod handshake;
mod poll;
mod victim;
