//! The host's name, its kernel and its sysctls, and the namespaces that this process is in.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path, str::FromStr};

use tcptrace_core::model::text::Escaped;

/// The host's name; empty when it cannot be read.
pub(crate) fn name() -> String {
    one_line("/proc/sys/kernel/hostname")
}

/// The kernel's release; empty when it cannot be read.
pub(crate) fn kernel() -> String {
    one_line("/proc/sys/kernel/osrelease")
}

/// The first pid namespace, `PROC_PID_INIT_INO` in `include/linux/proc_ns.h`.
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";

/// Whether this process is in a pid namespace of its own, as in a container. There the process ids of the kernel's
/// events differ from those of `/proc`: the same id may name two processes.
pub(crate) fn has_own_pids() -> bool {
    fs::read_link("/proc/self/ns/pid").is_ok_and(|link| link != Path::new(FIRST_PID_NAMESPACE))
}

/// The network namespace that the calling thread is in, by its inode; `None` when it cannot be read.
pub(crate) fn own_netns() -> Option<u32> {
    u32::try_from(fs::metadata("/proc/thread-self/ns/net").ok()?.ino()).ok()
}

/// A setting below `/proc/sys/net`, of the network namespace that the calling thread is in; `None` where it cannot be read.
pub(crate) fn sysctl(name: &str) -> Option<String> {
    fs::read_to_string(format!("/proc/sys/net/{name}")).ok()
}

/// As [`sysctl`], for a setting that is a single number.
pub(crate) fn sysctl_number<T: FromStr>(name: &str) -> Option<T> {
    sysctl(name)?.trim().parse().ok()
}

fn one_line(path: &str) -> String {
    fs::read_to_string(path).map(|text| Escaped(text.trim_end().as_bytes()).to_string()).unwrap_or_default()
}
