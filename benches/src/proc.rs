//! What `/proc` tells of a process and of its eBPF programs.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use anyhow::{Context as _, Result};

/// Runs and their time, by program id, of all programs that a process holds, with
/// `kernel.bpf_stats_enabled`.
pub(crate) fn programs(pid: u32) -> Result<BTreeMap<u32, (u64, u64)>> {
    let mut programs = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo")).context("reading fdinfo")? {
        let Ok(text) = fs::read_to_string(entry?.path()) else { continue };
        let field =
            |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
        if let (Some(id), Some(time), Some(runs)) =
            (field("prog_id:"), field("run_time_ns:"), field("run_cnt:"))
        {
            programs.insert(u32::try_from(id)?, (runs, time));
        }
    }
    Ok(programs)
}

/// CPU time of the threads of a process so far, user and system: from the scheduler's own sums, as those in `stat`
/// come in hundredths of a second.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration> {
    let mut sum = Duration::ZERO;
    for thread in fs::read_dir(format!("/proc/{pid}/task")).context("reading threads")? {
        let text = fs::read_to_string(thread?.path().join("schedstat")).context("reading schedstat")?;
        let run: &str = text.split_whitespace().next().context("an empty schedstat")?;
        sum += Duration::from_nanos(run.parse()?);
    }
    Ok(sum)
}

/// Resident memory of a process in KiB.
pub(crate) fn resident_kib(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("reading status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// `kernel.bpf_stats_enabled`, switched on for a while; dropped, it is as it was.
pub(crate) struct Statistics {
    before: String,
}

const STATISTICS: &str = "/proc/sys/kernel/bpf_stats_enabled";

impl Statistics {
    pub(crate) fn on() -> Result<Self> {
        let before = fs::read_to_string(Path::new(STATISTICS)).context("kernel.bpf_stats_enabled")?;
        fs::write(STATISTICS, "1").context("kernel.bpf_stats_enabled")?;
        Ok(Self { before })
    }
}

impl Drop for Statistics {
    fn drop(&mut self) {
        let _ = fs::write(STATISTICS, self.before.trim());
    }
}
