//! Conditions that keep a process from its work, from `/proc`.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use tcptrace_core::model::process::Condition;

/// The condition of a process; all unknown where it has ended.
pub(crate) fn condition(pid: u32) -> Condition {
    condition_below(Path::new("/proc"), pid)
}

fn condition_below(proc: &Path, pid: u32) -> Condition {
    let directory = proc.join(pid.to_string());
    let text = |name: &str| fs::read_to_string(directory.join(name)).ok();
    Condition {
        descriptors: descriptors(&directory.join("fd")),
        descriptor_limit: text("limits").and_then(|limits| soft_limit(&limits)),
        stopped: text("status").and_then(|status| is_stopped(&status)),
    }
}

/// The number of descriptors. Since Linux 6.2 it is the size of the directory. Before, the size is 0, and the entries
/// are counted.
fn descriptors(directory: &Path) -> Option<u64> {
    match fs::metadata(directory).ok()?.size() {
        0 => Some(fs::read_dir(directory).ok()?.count() as u64),
        count => Some(count),
    }
}

/// The limit in the text of `/proc/PID/limits`; `unlimited` is no limit.
fn soft_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The state in the text of `/proc/PID/status`.
fn is_stopped(status: &str) -> Option<bool> {
    let state = status.lines().find_map(|line| line.strip_prefix("State:"))?;
    Some(matches!(state.trim_start().chars().next()?, 'T' | 't'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_at_work() {
        let Condition { descriptors, descriptor_limit, stopped } = condition(std::process::id());
        let counted = fs::read_dir("/proc/self/fd").expect("descriptors").count() as u64;
        let descriptors = descriptors.expect("descriptors");
        assert!(descriptors.abs_diff(counted) < 64, "{descriptors} and {counted}, while other tests run");
        assert!(descriptor_limit.is_some_and(|limit| limit >= descriptors));
        assert_eq!(stopped, Some(false));
        assert_eq!(condition(u32::MAX), Condition::default(), "there is no such process");
    }

    #[test]
    fn limits_and_states() {
        let limits = |soft| format!("Max open files            {soft}        524288       files\n");
        assert_eq!(soft_limit(&limits("1024")), Some(1_024));
        assert_eq!(soft_limit(&limits("unlimited")), None);
        assert_eq!(soft_limit(""), None);
        for (state, stopped) in [("T (stopped)", true), ("t (tracing stop)", true), ("S (sleeping)", false)] {
            assert_eq!(is_stopped(&format!("Name:\tx\nState:\t{state}\n")), Some(stopped), "{state}");
        }
        let full = |descriptors| Condition { descriptors, descriptor_limit: Some(16), stopped: None };
        assert_eq!(full(Some(16)).is_out_of_descriptors(), Some(true));
        assert_eq!(full(Some(15)).is_out_of_descriptors(), Some(false));
        assert_eq!(full(None).is_out_of_descriptors(), None);
    }
}
