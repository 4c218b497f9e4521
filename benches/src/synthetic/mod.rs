//! Synthetic events: connections in any number, as the records that the kernel side would put on the ring. Measurements
//! with them need neither root nor sockets.

mod lives;
mod record;

pub use lives::{PER_LIFE, PERIOD_NS, lives, open};
pub use record::{End, Step};
