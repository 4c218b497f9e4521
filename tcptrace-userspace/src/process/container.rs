//! Containers, by what their cgroups are called.

use std::fmt;

/// The container that a process runs in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Container {
    /// Who runs it.
    pub runtime: Runtime,
    /// The runtime's own name for it: 64 hexadecimal digits, or a name for LXC and nspawn. Whoever may make cgroups
    /// may choose it.
    pub id: String,
    /// The Kubernetes pod that it is part of.
    pub pod_uid: Option<String>,
}

/// Who runs a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
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
    /// The cgroup has a container's id and does not tell whose.
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
