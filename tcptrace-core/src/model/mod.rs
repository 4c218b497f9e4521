//! The nouns: what a socket, a transition, a process and an end of a connection are. Data and what follows from it alone:
//! nothing here reads a file, asks the kernel or knows the time.

pub mod address;
pub mod clock;
pub mod close;
pub mod dump;
pub mod ends;
pub mod errno;
pub mod event;
pub mod finding;
pub mod half_open;
pub mod hash;
pub mod header;
pub mod holders;
pub mod hooks;
pub mod input;
pub mod limits;
pub mod links;
pub mod listening;
pub mod listing;
pub mod loss;
pub mod namespace;
pub mod netstat;
pub mod owner;
pub mod payload;
pub mod ports;
pub mod process;
pub mod record;
pub mod scan;
pub mod socket;
pub mod state;
pub mod summary;
pub mod text;
pub mod transition;
pub mod view;
pub mod wanted;
pub mod who;
