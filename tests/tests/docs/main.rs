//! The documents: every command runs as written, or, where it builds, exists; every example of output has the shape of real
//! output; every link leads to something.

mod blocks;
mod commands;
mod examples;
mod links;
mod reference;
mod shape;
mod table;
