//! How many transitions the program `load` makes.

/// Of a connection, both of whose ends are its own.
pub const OF_CONNECTION: u64 = 10;
/// Of its listener.
pub const OF_LISTENER: u64 = 2;
