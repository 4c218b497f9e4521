//! The last line of a trace in JSON.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
};

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// The account of a trace: the fields that are relevant here.
#[derive(Debug, Deserialize)]
pub(crate) struct Summary {
    /// Transitions that the kernel side saw.
    pub(crate) seen: u64,
    /// Transitions that were printed.
    pub(crate) delivered: u64,
    /// Transitions that filters hid.
    pub(crate) filtered: u64,
    /// Transitions that were only counted, since there were too many.
    pub(crate) sampled_out: u64,
    /// Records of other kinds that were only counted. They are not in `seen`.
    signals_sampled_out: u64,
    /// Losses.
    pub(crate) lost: Lost,
}

/// Losses by the place where they occurred.
#[derive(Debug, Deserialize)]
pub(crate) struct Lost {
    ring_full: u64,
    output: u64,
    undecodable: u64,
    /// Runs that the kernel skipped; not in `seen`.
    pub(crate) missed_runs: u64,
    /// Records of other kinds than transitions.
    others: u64,
}

/// More bytes than the line has.
const ENOUGH: u64 = 64 << 10;

impl Summary {
    /// Reads the account of the trace whose output is in this file.
    ///
    /// # Errors
    /// When the trace did not end regularly.
    pub(crate) fn of(output: &Path) -> Result<Self> {
        let mut file = File::open(output)?;
        let len = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(len.saturating_sub(ENOUGH)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        let last = text.lines().last().context("no output")?;
        serde_json::from_str(last).context("the last line is no summary")
    }

    /// All records that did not reach the output, of any kind and for any reason.
    pub(crate) fn all_missing(&self) -> u64 {
        let Lost { ring_full, output, undecodable, missed_runs, others } = self.lost;
        let explained = self.delivered + self.filtered + self.sampled_out + ring_full + output + undecodable;
        let lost = ring_full + output + undecodable + missed_runs + others;
        lost + self.sampled_out + self.signals_sampled_out + self.seen.abs_diff(explained)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_accounted_for_is_missing() {
        let summary = |delivered| -> Summary {
            serde_json::from_value(serde_json::json!({
                "seen": 100, "delivered": delivered, "filtered": 4, "sampled_out": 2, "signals_sampled_out": 1,
                "lost": { "ring_full": 1, "output": 0, "undecodable": 0, "missed_runs": 2, "others": 3 },
            }))
            .expect("a summary")
        };
        assert_eq!(summary(93).all_missing(), 9);
        assert_eq!(summary(90).all_missing(), 12);
    }
}
