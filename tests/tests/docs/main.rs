//! The documents: every command runs as written, or exists if it builds; every example of output has the shape of real
//! output; every link has a target.

mod blocks;
mod commands;
mod examples;
mod links;
mod reference;
mod shape;
mod table;
