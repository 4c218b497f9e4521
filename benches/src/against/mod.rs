//! An older tool and this checkout's, in one run and in turns, both as a user runs them.
//!
//! The comparison uses only the command line of the older tool, so any version that has the options can be compared.

mod live;
mod replayed;
mod table;
mod turns;

use std::{path::Path, time::Duration};

use anyhow::Result;

use table::Figure;
pub(crate) use table::Table;
use turns::Turns;

/// The amount of measurements.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Pairs of turns for each figure.
    pairs: u32,
    /// Pairs of turns for replays, which vary less.
    replays: u32,
    /// Connections in a turn.
    connections: u32,
    /// Connections of the capture whose replay is measured.
    recorded: u32,
    /// Connections of the capture that shows the memory of one.
    open: u32,
    /// Connections that are held open, with both ends on this host.
    held: u32,
    /// The duration of a trace of the host with these connections.
    watch: Duration,
    /// Connections that come and go during that trace.
    watched: u32,
}

impl Plan {
    /// The plan for a judgement: a quarter of an hour.
    pub(crate) const FULL: Self = Self {
        pairs: 15,
        replays: 5,
        connections: 9_000,
        recorded: 100_000,
        open: 1_000_000,
        held: 25_000,
        watch: Duration::from_secs(8),
        watched: 20_000,
    };

    /// Two minutes, to check that everything works.
    pub(crate) const QUICK: Self = Self {
        pairs: 2,
        replays: 1,
        connections: 2_000,
        recorded: 5_000,
        open: 50_000,
        held: 2_500,
        watch: Duration::from_secs(4),
        watched: 5_000,
    };
}

/// The most that a figure may grow. Less growth cannot be distinguished from the noise of a run.
const TARGET: f64 = 1.02;
/// The most that `diagnose` and `--findings` may need, as a share of the older tool's need.
const WATCH_TARGET: f64 = 0.7;

fn figure(name: &str, unit: &'static str, digits: usize) -> Figure {
    Figure { name: name.to_owned(), unit, digits, target: TARGET }
}

fn memory_figure(command: &str, target: f64) -> Figure {
    Figure { name: format!("{command}: memory"), unit: "MiB", digits: 1, target }
}

/// Compares both tools.
///
/// # Errors
/// When a load cannot be made, or the older tool cannot record the captures for both replays.
pub(crate) fn measure(older: &Path, newer: &Path, plan: Plan) -> Result<Table> {
    let directory = tempfile::Builder::new().prefix("tcptrace-bench-").tempdir()?;
    let folder = directory.path();
    let mut turns = Turns::new(older, newer);
    live::start(&mut turns, plan);
    replayed::memory(&mut turns, older, plan, folder)?;
    replayed::cpu(&mut turns, older, plan, folder)?;
    live::kernel(&mut turns, plan, folder);
    live::user_space(&mut turns, plan, folder);
    live::many_sockets(&mut turns, plan, folder)?;
    Ok(turns.table)
}
