//! The nouns: what a socket, a transition, a process and an end of a connection are. Data and what follows from it alone:
//! nothing here reads a file, asks the kernel or knows the time.

pub(crate) mod address;
pub mod clock;
pub mod close;
pub mod event;
pub mod half_open;
pub(crate) mod hash;
pub mod hooks;
pub(crate) mod listening;
pub mod loss;
pub mod netstat;
pub mod owner;
pub mod payload;
pub mod ports;
pub mod process;
pub mod socket;
pub mod state;
pub mod text;
pub mod transition;
pub mod wanted;
