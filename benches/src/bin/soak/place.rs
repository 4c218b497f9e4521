//! The network namespace of the load: this process' own, with short time-outs.

use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sched::{CloneFlags, unshare};
use tcptrace_tests::{
    netns::{V4, V6, sysctl},
    process::tool,
};

/// The lifetime of a half-open connection whose SYN-ACK is sent again once: a second, and two more.
pub(crate) const HALF_OPEN_LIFE: Duration = Duration::from_secs(3);

/// Moves this process into the namespace. Must run before there are threads.
///
/// # Errors
/// When the kernel refuses.
pub(crate) fn isolate() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNET).context("making a network namespace")?;
    tool("ip", ["link", "set", "lo", "up"]);
    tool("ip", ["address", "add", &format!("{V4}/24"), "dev", "lo"]);
    tool("ip", ["address", "add", &format!("{V6}/64"), "dev", "lo", "nodad"]);
    // SYN-ACKs to senders that do not exist come back to the host, where no socket listens.
    tool("ip", ["route", "add", "203.0.113.0/24", "dev", "lo"]);
    for (name, value) in [
        ("net/ipv4/ip_local_port_range", "33000 60999"),
        ("net/ipv4/tcp_syn_retries", "1"),
        ("net/ipv4/tcp_synack_retries", "1"),
        ("net/ipv4/tcp_syncookies", "0"),
        ("net/ipv4/tcp_max_syn_backlog", "4096"),
        ("net/core/somaxconn", "4096"),
    ] {
        sysctl(name, value);
    }
    Ok(())
}

/// The namespace in the form that `--netns` takes.
pub(crate) fn netns() -> String {
    format!("/proc/{}/ns/net", std::process::id())
}
