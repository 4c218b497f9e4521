//! Ports that no other running test uses.
//!
//! tracefs reports the whole host; a test finds its own transitions in that log by its ports. A slot is a number held
//! by a file lock, so it becomes free however the test ends.

use std::{fs::File, ops::RangeInclusive};

use nix::fcntl::{Flock, FlockArg};

use crate::{fixture::Ports, host::locks};

/// Below the ephemeral ports of the host, above the usual ports of services.
const FIRST_PORT: u16 = 12_000;
const SLOTS: u16 = 240;
const PORTS: u16 = 80;
/// The first of the namespace's ephemeral ports within a slot.
const EPHEMERAL: u16 = 40;

/// A range of ports that this test has until the drop.
#[derive(Debug)]
pub struct Slot {
    number: u16,
    _lock: Flock<File>,
}

impl Slot {
    /// Takes a free slot.
    pub fn take() -> Self {
        (0..SLOTS)
            .find_map(|number| {
                let file = File::create(locks().join(format!("slot-{number}"))).expect("a lock file");
                let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).ok()?;
                Some(Self { number, _lock: lock })
            })
            .expect("a free slot: at most 240 tests run at once")
    }

    /// The number of the slot.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// A port to bind, `index` below 40.
    pub fn port(&self, index: u16) -> u16 {
        assert!(index < EPHEMERAL, "a slot has {EPHEMERAL} ports to bind");
        self.first() + index
    }

    /// The ports to bind, for steps in a namespace.
    pub fn ports_to_bind(&self) -> Ports {
        Ports::from(self.port(0))
    }

    /// All ports: those to bind and the ephemeral ones.
    pub fn ports(&self) -> RangeInclusive<u16> {
        self.first()..=self.first() + PORTS - 1
    }

    /// The ports that the namespace gives to unbound sockets.
    pub fn ephemeral(&self) -> RangeInclusive<u16> {
        self.first() + EPHEMERAL..=self.first() + PORTS - 1
    }

    fn first(&self) -> u16 {
        FIRST_PORT + self.number * PORTS
    }
}
