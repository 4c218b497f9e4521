//! The load: short connections over loopback, as fast as one thread, or all cores, make them.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};

/// Connections to one address before the next one: fewer than a range of ephemeral ports has, since each
/// leaves its port in TIME_WAIT.
const PER_ADDRESS: u32 = 20_000;

/// Moves this process, and so every tool that it starts, into a network namespace of its own: the load takes no
/// ports from the host and meets none of its firewall rules. And into a mount namespace with tracefs, which the
/// peers need and which may not be mounted. Must run before there are threads.
///
/// # Errors
/// When the kernel refuses, or `ip` is missing.
pub(crate) fn isolate() -> Result<()> {
    const NONE: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).context("making namespaces")?;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE).context("making mounts private")?;
    if !Path::new("/sys/kernel/tracing/events").exists() {
        mount(Some("tracefs"), "/sys/kernel/tracing", Some("tracefs"), MsFlags::empty(), NONE)
            .context("mounting tracefs")?;
    }
    let status = Command::new("ip").args(["link", "set", "lo", "up"]).status().context("starting ip")?;
    anyhow::ensure!(status.success(), "ip link set lo up failed");
    Ok(())
}

/// Makes `connections` on each of `threads` threads and returns how long that took.
///
/// # Errors
/// When a socket cannot be made.
pub(crate) fn run(connections: u32, threads: u8) -> Result<Duration> {
    let start = Instant::now();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|id| scope.spawn(move || churn(id, connections))).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("the load does not panic"))
    })?;
    Ok(start.elapsed())
}

fn churn(thread: u8, connections: u32) -> Result<()> {
    let mut left = connections;
    for net in 1..=u8::MAX {
        let address = Ipv4Addr::new(127, 100 + thread, net, 1);
        let listener = TcpListener::bind((address, 0)).context("listening for the load")?;
        let address = listener.local_addr()?;
        for _ in 0..left.min(PER_ADDRESS) {
            connect(address, &listener)?;
        }
        left = left.saturating_sub(PER_ADDRESS);
        if left == 0 {
            break;
        }
    }
    Ok(())
}

/// One life: the client closes first.
fn connect(address: SocketAddr, listener: &TcpListener) -> Result<()> {
    let client = TcpStream::connect(address).context("connecting")?;
    let (server, _) = listener.accept().context("accepting")?;
    drop(client);
    drop(server);
    Ok(())
}
