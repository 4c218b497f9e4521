//! Sets of ports, in the form in which the kernel side looks them up.

use std::ops::RangeInclusive;

use tcptrace_common::port_in_set;

/// A set of ports: a bit each, so that a lookup costs the same for one port and for thousands.
#[derive(Clone, PartialEq, Eq)]
pub struct PortSet {
    words: Box<[u64; 1024]>,
}

impl PortSet {
    /// The empty set.
    pub fn new() -> Self {
        Self { words: Box::new([0; 1024]) }
    }

    /// Adds a range.
    pub fn insert(&mut self, ports: RangeInclusive<u16>) {
        for port in ports {
            self.words[usize::from(port >> 6)] |= 1 << (port & 63);
        }
    }

    /// Whether `port` is in the set.
    pub fn contains(&self, port: u16) -> bool {
        port_in_set(&self.words, port)
    }

    /// The bits, in words.
    pub fn words(&self) -> [u64; 1024] {
        *self.words
    }
}

impl Default for PortSet {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for PortSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries((0..=u16::MAX).filter(|port| self.contains(*port))).finish()
    }
}
