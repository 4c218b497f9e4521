//! How much is measured.

use std::time::Duration;

/// Lengths and counts of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Rounds of the comparison with the peers.
    pub(crate) rounds: u32,
    /// Slices of a round: how often a tool is started, and how often the kernel's statistics are read.
    pub(crate) slices: u32,
    /// Connections of a load and thread in a slice, where rates are measured.
    pub(crate) connections: u32,
    /// Connections of a slice where the kernel's statistics are read.
    pub(crate) kernel_connections: u32,
    /// Ratios of rates, of each setting.
    pub(crate) pairs: u32,
    /// Connections for each rate of a pair.
    pub(crate) pair_connections: u32,
    /// Starts, each until the first event.
    pub(crate) starts: u32,
    /// How long nothing may be lost.
    pub(crate) endurance: Duration,
    /// How long nothing happens.
    pub(crate) idle: Duration,
    /// Connections of the recording that is replayed.
    pub(crate) recorded: u32,
    /// How often it is.
    pub(crate) replays: u32,
    /// Connections that stay open.
    pub(crate) open: u32,
}

impl Plan {
    /// What the figures of the document rest on: a quarter of an hour, and a million transitions for the kernel's time.
    pub(crate) const FULL: Self = Self {
        rounds: 3,
        slices: 4,
        connections: 3_000,
        kernel_connections: 9_000,
        pairs: 40,
        pair_connections: 4_000,
        starts: 20,
        endurance: Duration::from_mins(1),
        idle: Duration::from_mins(1),
        recorded: 150_000,
        replays: 5,
        open: 1_000_000,
    };

    /// A minute: whether it works, and in which region the figures are.
    pub(crate) const QUICK: Self = Self {
        rounds: 1,
        slices: 2,
        connections: 1_000,
        kernel_connections: 2_000,
        pairs: 4,
        pair_connections: 2_000,
        starts: 5,
        endurance: Duration::from_secs(5),
        idle: Duration::from_secs(5),
        recorded: 20_000,
        replays: 2,
        open: 1_000_000,
    };
}
