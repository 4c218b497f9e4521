//! A process, and where it runs.

use std::fmt;

/// A process, as it was when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Process id (thread group).
    pub pid: u32,
    /// When it started, in clock ticks since boot: with the id it is unique.
    pub start_ticks: u64,
    /// Its name: any bytes but NUL.
    pub comm: Vec<u8>,
    /// Path of its program: any bytes but NUL. `None` for a kernel thread, and where it may not be read.
    pub exe: Option<Vec<u8>>,
    /// The program's file is gone: replaced by an update, or deleted to hide it.
    pub exe_deleted: bool,
    /// Real user id.
    pub uid: u32,
    /// The systemd unit, `nginx.service`; for a unit of a user's own manager, `user@1000.service/app.service`. `None` too
    /// for the scope that a container has to itself, since [`Container::id`] says as much.
    pub unit: Option<String>,
    /// The container that it runs in.
    pub container: Option<Container>,
    /// Inode number of its network namespace; `None` where it may not be read.
    pub netns: Option<u32>,
}

/// Ticks of `/proc` a second, whatever the kernel's own rate: `USER_HZ`, `include/uapi/asm-generic/param.h`.
const USER_HZ: u64 = 100;

impl Process {
    /// When it started, nanoseconds of `CLOCK_BOOTTIME`, rounded down to a hundredth of a second.
    pub fn started_ns(&self) -> u64 {
        self.start_ticks.saturating_mul(1_000_000_000 / USER_HZ)
    }
}

/// The key that sorts the holders of a socket. The first of several is the owner: the oldest process, from which the others
/// have the socket. `process`: the process with this id, where it is known.
pub fn eldest_first(pid: u32, process: Option<&Process>) -> (u64, u32) {
    (process.map_or(u64::MAX, |process| process.start_ticks), pid)
}

/// The container that a process runs in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Container {
    /// The runtime of the container.
    pub runtime: Runtime,
    /// The runtime's own name for the container: 64 hexadecimal digits, or a name for LXC and nspawn. A user who may make
    /// cgroups may choose it.
    pub id: String,
    /// The Kubernetes pod that it is part of.
    pub pod_uid: Option<String>,
}

/// A container runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Runtime {
    /// Docker.
    Docker,
    /// containerd, for Kubernetes or by `nerdctl`.
    Containerd,
    /// CRI-O.
    CriO,
    /// Podman.
    Podman,
    /// LXC, LXD or Incus, or libvirt's.
    Lxc,
    /// systemd-nspawn.
    Nspawn,
    /// The cgroup has a container's id, but does not show the runtime.
    Unknown,
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Docker => "docker",
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
            Self::Podman => "podman",
            Self::Lxc => "lxc",
            Self::Nspawn => "nspawn",
            Self::Unknown => "container",
        })
    }
}

/// The condition of a process for which connections wait. Values that are not known are `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// Descriptors that it has open.
    pub descriptors: Option<u64>,
    /// The maximum number of descriptors (`RLIMIT_NOFILE`, the soft limit).
    pub descriptor_limit: Option<u64>,
    /// A signal or a debugger has stopped it (state `T` or `t`).
    pub stopped: Option<bool>,
}

impl Condition {
    /// Whether it can open no other descriptor; `None` where that is not known.
    pub fn is_out_of_descriptors(&self) -> Option<bool> {
        Some(self.descriptors? >= self.descriptor_limit?)
    }
}
