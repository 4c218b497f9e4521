//! tcptrace's user space: everything between the kernel's ring buffer and the user's terminal.
//!
//! An event travels one way: [`bpf`] takes its bytes off the ring, [`decode`] makes an [`model::event::Event`] of
//! them, [`tracker`] adds what only history tells (time in the old state, owner), and a [`sink`] writes the
//! resulting [`record::Record`]. [`trace`] is the loop that moves them; [`cli`] turns the command line into
//! its settings. [`doctor`] says what of this works on a host. `docs/architecture.md` tells the whole road.
//!
//! [`snapshot`] is apart from that road: it asks the kernel for the TCP sockets of this moment. A [`look`] has those that
//! are wanted, in order, with their owners; [`sockets`] shows it.

pub mod bpf;
pub mod capture;
pub mod commands;
pub mod decode;
pub mod diagnosis;
#[doc(hidden)]
pub mod fuzzing;
pub mod half_open;
pub mod model;
pub mod output;
pub mod record;
pub mod scan;
pub mod sys;
pub mod trace;
pub mod tracker;
