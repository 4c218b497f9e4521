//! Privileges of this process, checked before the kernel answers with a bare EPERM.

use std::fs;

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

/// A capability that matters to tracing, by its number in `include/uapi/linux/capability.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Capability {
    /// `CAP_SYS_ADMIN`: includes `CAP_PERFMON` and `CAP_BPF`, and allows mounts, namespaces and statistics.
    SysAdmin = 21,
    /// `CAP_SYS_RESOURCE`: lifts the locked-memory limit.
    SysResource = 24,
    /// `CAP_PERFMON`: tracing programs.
    Perfmon = 38,
    /// `CAP_BPF`: eBPF programs and maps.
    Bpf = 39,
}

/// The effective capabilities of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities(u64);

impl Capabilities {
    /// The capabilities in the text of a `/proc/PID/status`.
    pub fn of(status: &str) -> Option<Self> {
        let hex = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
        u64::from_str_radix(hex.trim(), 16).ok().map(Self)
    }

    /// Whether this capability is among them.
    pub const fn has(self, capability: Capability) -> bool {
        self.0 & (1 << capability as u32) != 0
    }

    /// Whether they allow tracing programs.
    pub const fn may_trace(self) -> bool {
        self.has(Capability::SysAdmin) || (self.has(Capability::Bpf) && self.has(Capability::Perfmon))
    }
}

/// Whether this process may load tracing programs. Unknown counts as yes: the kernel decides.
pub(super) fn may_trace() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    Capabilities::of(&status).is_none_or(Capabilities::may_trace)
}

/// Lifts the locked-memory limit. Kernels from 5.11 on do not count maps against it, and a container may
/// forbid it, so failing is no error here.
pub(super) fn lift_memlock() {
    let _ = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY);
}

/// The locked-memory limit in bytes.
pub(super) fn memlock_limit() -> u64 {
    getrlimit(Resource::RLIMIT_MEMLOCK).map_or(0, |(soft, _)| soft)
}

/// Whether kernel lockdown keeps programs from reading kernel memory.
pub(super) fn lockdown_confidential() -> bool {
    fs::read_to_string("/sys/kernel/security/lockdown").is_ok_and(|modes| modes.contains("[confidentiality]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_two_capabilities_or_the_great_one() {
        let of = |hex: &str| Capabilities::of(&format!("Name:\tx\nCapEff:\t{hex}\nSeccomp:\t0\n")).unwrap();
        assert!(of("000001ffffffffff").may_trace());
        assert!(of("000000c000000000").may_trace() && !of("000000c000000000").has(Capability::SysAdmin));
        assert!(of("0000000000200000").may_trace());
        for too_little in ["0000000000000000", "0000008000000000", "0000004000000000", "0000000001000000"] {
            assert!(!of(too_little).may_trace(), "{too_little}");
        }
        assert_eq!(Capabilities::of("CapEff:\tnone\n"), None);
    }
}
