//! The command line: everything that talks to a person.

pub mod cli;
pub mod diagnose;
pub mod doctor;
pub mod sockets;
pub mod stream;
