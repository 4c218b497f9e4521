//! Scans of the host: owners of sockets, processes, and network namespaces.

use super::{Bytes, Malformed, Wire, choice, put, record};
use crate::model::{
    holders::{Holder, Holders, Source},
    limits::Limits,
    namespace::{LocalAddress, NamespaceSample},
    process::{Condition, Container, Process, Runtime},
    scan::{Gaps, HostScan, Listener, Owners, SocketScan},
};

record!(HostScan { 0 start_ns, 1 end_ns, 2 sockets, 3 namespaces, 4 processes });

record!(SocketScan { 0 sockets, 1 owners, 2 hidden, 3 namespaces, 4 gaps });

record!(Gaps { 0 snapshot, 1 without_owner, 2 unreadable_processes });

record!(Owners { 0 holders, 1 listeners, 2 processes, 3 seen_ns, 4 on_devices });

choice!(Listener { 0 b"One" One(inode), 1 b"Several" Unknown });

// Versions before 5 have a list at 2 that nothing reads.
record!(Holders { 0 inodes, 1 by_inode, 3 unreadable, 4 source });

/// A process and a descriptor. Messages have many of these.
impl Wire for Holder {
    fn absent() -> Self {
        Self { pid: 0, fd: 0 }
    }

    fn write(&self, out: &mut Vec<u8>) {
        (self.pid, self.fd).write(out);
    }

    fn read(input: &mut Bytes<'_>) -> Result<Self, Malformed> {
        Wire::read(input).map(|(pid, fd)| Self { pid, fd })
    }

    #[cfg(test)]
    fn some(chance: &mut super::tests::Chance) -> Self {
        let (pid, fd) = Wire::some(chance);
        Self { pid, fd }
    }
}

choice!(Source { 1 b"Proc" Proc, 0 b"TaskFile" TaskFile });

record!(Process {
    0 pid,
    1 start_ticks,
    2 comm,
    3 exe,
    4 exe_deleted,
    5 uid,
    6 unit,
    7 container,
    8 netns,
});

record!(Container { 0 runtime, 1 id, 2 pod_uid });

choice!(Runtime {
    0 b"Docker" Docker,
    1 b"Containerd" Containerd,
    2 b"CriO" CriO,
    3 b"Podman" Podman,
    4 b"Lxc" Lxc,
    5 b"Nspawn" Nspawn,
    6 b"Unknown" Unknown,
});

record!(Condition { 0 descriptors, 1 descriptor_limit, 2 stopped });

record!(NamespaceSample { 0 counters, 1 limits, 2 name, 3 addresses, 4 conntrack, 5 orphans });

record!(LocalAddress { 0 address, 1 interface, 2 running });

record!(Limits {
    0 ports,
    1 max_tw_buckets,
    2 fin_timeout_s,
    3 max_syn_backlog,
    4 syncookies,
    5 tw_reuse,
    6 timestamps,
    7 abort_on_overflow,
    8 max_orphans,
    9 somaxconn,
    10 reserved_ports,
});
