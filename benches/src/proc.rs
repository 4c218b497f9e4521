//! Figures of a process and of its eBPF programs from `/proc`.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use anyhow::{Context as _, Result};
use aya::programs::loaded_programs;
use nix::{
    time::{clock_getcpuclockid, clock_gettime},
    unistd::Pid,
};

/// The runs and the time of a program so far, with `kernel.bpf_stats_enabled`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    pub(crate) runs: u64,
    pub(crate) ns: u64,
}

/// The runs and the time of several programs, by their ids.
pub(crate) type Programs = BTreeMap<u32, Spent>;

/// All programs that a process holds.
pub(crate) fn programs(pid: u32) -> Result<Programs> {
    let mut programs = Programs::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo")).context("reading fdinfo")? {
        let Ok(text) = fs::read_to_string(entry?.path()) else { continue };
        let field =
            |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
        if let (Some(id), Some(time), Some(runs)) =
            (field("prog_id:"), field("run_time_ns:"), field("run_cnt:"))
        {
            programs.insert(u32::try_from(id)?, Spent { runs, ns: time });
        }
    }
    Ok(programs)
}

/// The runs and the time of programs between two readings, for the ids that `counts` selects.
pub(crate) fn spent(before: &Programs, after: &Programs, counts: impl Fn(&u32) -> bool) -> Spent {
    let mut sum = Spent::default();
    for (id, after) in after.iter().filter(|(id, _)| counts(id)) {
        let before = before.get(id).copied().unwrap_or_default();
        sum.runs += after.runs - before.runs;
        sum.ns += after.ns - before.ns;
    }
    sum
}

impl Spent {
    /// Nanoseconds for each of `count`.
    #[expect(clippy::cast_precision_loss, reason = "seconds in nanoseconds, and three digits are shown")]
    pub(crate) fn ns_per(self, count: u64) -> f64 {
        self.ns as f64 / count.max(1) as f64
    }
}

/// Names of all loaded programs by their ids, as the kernel keeps them.
pub(crate) fn program_names() -> BTreeMap<u32, String> {
    loaded_programs()
        .filter_map(Result::ok)
        .filter_map(|program| Some((program.id(), program.name_as_str()?.to_owned())))
        .collect()
}

/// Whether `kept` is the kernel's name for the program `name` of the object: the kernel keeps fifteen bytes.
pub(crate) fn is_named(kept: &str, name: &str) -> bool {
    kept == name.get(..15).unwrap_or(name)
}

/// CPU time of a process so far, user and system, ended threads included. It comes from the clock of the process, since
/// `stat` counts in hundredths of a second.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration> {
    let clock = clock_getcpuclockid(Pid::from_raw(i32::try_from(pid)?)).context("the clock of a process")?;
    Ok(clock_gettime(clock).context("the CPU time of a process")?.into())
}

/// Resident memory of a process in KiB.
pub(crate) fn resident_kib(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("reading status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// `kernel.bpf_stats_enabled`, switched on for a while. The drop restores its value.
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
