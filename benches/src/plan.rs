//! The amount of measurements.

use std::time::Duration;

/// Lengths and counts of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Rounds of the comparison with the peers.
    pub(crate) rounds: u32,
    /// Slices in a round: starts of each tool, and readings of the kernel's statistics.
    pub(crate) slices: u32,
    /// Connections for each load and thread in a slice that measures rates.
    pub(crate) connections: u32,
    /// Connections in a slice that reads the kernel's statistics.
    pub(crate) kernel_connections: u32,
    /// Ratios of rates for each setting.
    pub(crate) pairs: u32,
    /// Connections for each rate of a pair.
    pub(crate) pair_connections: u32,
    /// Starts that are timed until the first event.
    pub(crate) starts: u32,
    /// The duration of the load under which nothing may be lost.
    pub(crate) endurance: Duration,
    /// The duration of the idle trace.
    pub(crate) idle: Duration,
    /// Connections in the recording that is replayed.
    pub(crate) recorded: u32,
    /// Replays of the recording.
    pub(crate) replays: u32,
    /// Connections that stay open.
    pub(crate) open: u32,
}

impl Plan {
    /// The plan for the figures of the document: a quarter of an hour, and a million transitions for the kernel's time.
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

    /// A minute, to check that everything works, and to see the magnitude of the figures.
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
