//! The command line: all output for people.

pub mod cli;
pub mod diagnose;
pub mod doctor;
pub mod sockets;
pub mod stream;
