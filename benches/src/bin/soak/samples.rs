//! Memory and descriptors of a process over time.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};

/// The growth of memory that is allowed: a share of its size, and KiB.
const GROWTH: f64 = 0.05;
const GROWTH_KIB: f64 = 1_024.0;
/// The time until tables have their final size: TIME_WAIT lasts a minute, during which a connection is remembered.
const WARM_UP: Duration = Duration::from_secs(90);

/// The samples of one process.
pub(crate) struct Samples {
    pub(crate) name: &'static str,
    pid: u32,
    /// Time, resident KiB, descriptors.
    taken: Vec<(Duration, u64, u64)>,
}

/// The medians of the first and of the last quarter, after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Trend {
    pub(crate) first: f64,
    pub(crate) last: f64,
}

impl Samples {
    pub(crate) fn of(name: &'static str, pid: u32) -> Self {
        Self { name, pid, taken: Vec::new() }
    }

    /// Takes a sample.
    ///
    /// # Errors
    /// When the process has ended.
    pub(crate) fn take(&mut self, at: Duration) -> Result<()> {
        let gone = || format!("{} has ended", self.name);
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).with_context(gone)?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).with_context(gone)?;
        let resident = resident.trim().trim_end_matches(" kB").parse()?;
        let descriptors = fs::read_dir(format!("/proc/{}/fd", self.pid)).with_context(gone)?.count();
        self.taken.push((at, resident, u64::try_from(descriptors)?));
        Ok(())
    }

    /// Resident memory in KiB.
    pub(crate) fn memory(&self) -> Trend {
        self.trend(|(_, resident, _)| *resident)
    }

    pub(crate) fn descriptors(&self) -> Trend {
        self.trend(|(_, _, descriptors)| *descriptors)
    }

    fn trend(&self, value: impl Fn(&(Duration, u64, u64)) -> u64) -> Trend {
        let end = self.taken.last().map_or(Duration::ZERO, |(at, ..)| *at);
        // For a short run, the warm-up is its first half at most.
        let warm_up = WARM_UP.max(end / 10).min(end / 2);
        let values: Vec<u64> = self.taken.iter().filter(|(at, ..)| *at >= warm_up).map(value).collect();
        let quarter = values.len().div_ceil(4);
        Trend { first: median(&values[..quarter]), last: median(&values[values.len() - quarter..]) }
    }
}

impl Trend {
    /// Whether memory does not grow.
    pub(crate) fn is_flat(self) -> bool {
        self.last <= self.first.mul_add(1.0 + GROWTH, GROWTH_KIB)
    }

    /// Whether the value stays the same.
    pub(crate) fn is_level(self) -> bool {
        (self.last - self.first).abs() < 0.5
    }
}

fn median(values: &[u64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    #[expect(clippy::cast_precision_loss, reason = "kibibytes or descriptors of one process")]
    sorted.get(sorted.len() / 2).map_or(f64::NAN, |value| *value as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: impl IntoIterator<Item = (u64, u64)>) -> Samples {
        let taken = values.into_iter().map(|(at, kib)| (Duration::from_secs(at), kib, 9)).collect();
        Samples { name: "x", pid: 0, taken }
    }

    #[test]
    fn the_beginning_does_not_count_but_what_follows_does() {
        let warm = samples((0..300).map(|at| (at, if at < 80 { at * 100 } else { 8_000 })));
        assert_eq!(warm.memory(), Trend { first: 8_000.0, last: 8_000.0 });
        assert!(warm.memory().is_flat() && warm.descriptors().is_level());
        let leak = samples((0..300).map(|at| (at, 8_000 + at * 20)));
        assert!(!leak.memory().is_flat(), "{:?}", leak.memory());
    }

    #[test]
    fn nothing_is_known_without_samples() {
        let none = samples([]).memory();
        assert!(none.first.is_nan() && !none.is_flat() && !none.is_level());
    }
}
