//! Half-open connections: tcptrace's output, compared with `ss`, the namespace's own counters, and the steps of the
//! test.

mod attached;
mod born;
mod flood;
mod handshake;
mod poll;
mod victim;
