//! Facts of the host, read in one place. Every function takes the root of the file system, so that tests can use
//! recorded trees.

mod cgroup;
mod others;
mod tracefs;

use std::{fs, path::Path};

use tcptrace_common::Config;
use tcptrace_core::model::hooks::Hook;

pub(super) use cgroup::Cgroup;
pub(super) use tracefs::Tracefs;

use crate::bpf::{Btf, Capabilities, Features, sock_layout};
use others::Others;

/// All facts; `None` is a fact that could not be read.
pub(super) struct Facts {
    pub(super) release: Option<String>,
    pub(super) btf: BtfState,
    pub(super) tracefs: Tracefs,
    /// `net.core.bpf_jit_enable`.
    pub(super) jit: Option<u32>,
    /// `CONFIG_BPF_JIT_ALWAYS_ON`.
    pub(super) jit_always_on: Option<bool>,
    /// The mode in force.
    pub(super) lockdown: Option<String>,
    pub(super) capabilities: Option<Capabilities>,
    /// `kernel.unprivileged_bpf_disabled`.
    pub(super) unprivileged_bpf: Option<u32>,
    pub(super) memlock: Option<Memlock>,
    pub(super) cgroup: Option<Cgroup>,
    pub(super) others: Others,
}

/// The kernel's type information.
pub(super) enum BtfState {
    /// It describes all required fields.
    Usable {
        /// Its size.
        bytes: usize,
        /// The features that a program could have with it.
        fields: Features,
    },
    /// It is there, but not understood.
    Unusable(String),
    /// It is not there, or may not be read.
    Missing(String),
}

/// The limit of locked memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memlock {
    /// There is no limit.
    Unlimited,
    /// Bytes.
    Limit(u64),
}

impl Facts {
    /// Reads all facts below `root`.
    pub(super) fn gather(root: &Path) -> Self {
        let release = text(root, "proc/sys/kernel/osrelease");
        Self {
            btf: btf(root),
            tracefs: Tracefs::find(root),
            jit: number(root, "proc/sys/net/core/bpf_jit_enable"),
            jit_always_on: release.as_deref().and_then(|release| jit_always_on(root, release)),
            lockdown: lockdown(root),
            capabilities: text(root, "proc/self/status").and_then(|status| Capabilities::of(&status)),
            unprivileged_bpf: number(root, "proc/sys/kernel/unprivileged_bpf_disabled"),
            memlock: text(root, "proc/self/limits").and_then(|limits| memlock(&limits)),
            cgroup: text(root, "proc/self/mounts").and_then(|mounts| Cgroup::of(&mounts)),
            others: Others::find(root),
            release,
        }
    }
}

/// The text of a small file, without its last newline.
fn text(root: &Path, path: &str) -> Option<String> {
    let bytes = fs::read(root.join(path)).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

fn number(root: &Path, path: &str) -> Option<u32> {
    text(root, path)?.parse().ok()
}

fn btf(root: &Path) -> BtfState {
    let data = match fs::read(root.join("sys/kernel/btf/vmlinux")) {
        Ok(data) => data,
        Err(error) => return BtfState::Missing(error.to_string()),
    };
    let mut config = Config::EMPTY;
    let outcome = Btf::parse(&data)
        .map_err(|error| error.to_string())
        .and_then(|btf| sock_layout(&btf, &mut config).map_err(|error| error.to_string()));
    match outcome {
        Ok(()) => BtfState::Usable { bytes: data.len(), fields: Features::of(Hook::TpBtf, &config) },
        Err(error) => BtfState::Unusable(error),
    }
}

/// Whether the kernel has no interpreter, by its configuration, where there is a text of that.
fn jit_always_on(root: &Path, release: &str) -> Option<bool> {
    let config = [format!("boot/config-{release}"), format!("lib/modules/{release}/config")];
    let config = config.iter().find_map(|path| text(root, path))?;
    Some(config.lines().any(|line| line == "CONFIG_BPF_JIT_ALWAYS_ON=y"))
}

/// The mode in brackets: `none [integrity] confidentiality`.
fn lockdown(root: &Path) -> Option<String> {
    let modes = text(root, "sys/kernel/security/lockdown")?;
    let mode = modes.split_whitespace().find_map(|mode| mode.strip_prefix('[')?.strip_suffix(']'))?;
    Some(mode.to_owned())
}

/// The soft limit: `Max locked memory         8388608              8388608              bytes`.
fn memlock(limits: &str) -> Option<Memlock> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max locked memory"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(Memlock::Unlimited),
        soft => soft.parse().ok().map(Memlock::Limit),
    }
}

#[cfg(test)]
mod tests;
