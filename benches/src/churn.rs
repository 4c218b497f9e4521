//! The load: short connections over loopback, as fast as they can be made.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, CpuSet, sched_getaffinity, sched_setaffinity, unshare},
    unistd::Pid,
};
use socket2::{Domain, SockRef, Socket, Type};
use tcptrace_tests::{netns::sysctl, process::tool};

/// Connections to one address before the next one. They are fewer than the ephemeral ports of the range, since each
/// connection leaves its port in TIME_WAIT.
const PER_ADDRESS: u32 = 20_000;

/// Moves this process, and so every tool that it starts, into a new network namespace: the load takes no ports from the
/// host, and no firewall rules of the host apply. The mount namespace is new, too, and has tracefs, which the peers
/// need and which the host may not have mounted. Must run before there are threads.
///
/// # Errors
/// When the kernel refuses.
pub(crate) fn isolate() -> Result<()> {
    const NONE: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).context("making namespaces")?;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE).context("making mounts private")?;
    if !Path::new("/sys/kernel/tracing/events").exists() {
        mount(Some("tracefs"), "/sys/kernel/tracing", Some("tracefs"), MsFlags::empty(), NONE)
            .context("mounting tracefs")?;
    }
    tool("ip", ["link", "set", "lo", "up"]);
    // SYN-ACKs to senders that do not exist come back to the host, where no socket listens.
    tool("ip", ["route", "add", "203.0.113.0/24", "dev", "lo"]);
    for (name, value) in [
        ("net/ipv4/tcp_syncookies", "0"),
        ("net/ipv4/tcp_max_syn_backlog", "4096"),
        ("net/core/somaxconn", "4096"),
    ] {
        sysctl(name, value);
    }
    Ok(())
}

/// The time after which a load of connections has hung.
const LIMIT: Duration = Duration::from_mins(2);

/// The processes or threads that make the connections.
#[derive(Clone, Copy)]
pub(crate) enum Load {
    /// A client and a server. The client connects and sends a byte; the server answers with a byte and closes.
    Exchange(Cores),
    /// Threads that are both ends of their connections, which carry no data: as many connections as possible.
    Churn { threads: u8 },
}

/// The cores that the client and the server may use.
#[derive(Clone, Copy)]
pub(crate) enum Cores {
    /// All cores. On two cores, none is left to a tracer.
    All,
    /// The first core for both, so that the reader of the trace has another core.
    First,
}

/// Makes `connections`, in a churn on each thread, and returns the time that it took.
///
/// # Errors
/// When a socket cannot be made, or a churn takes longer than two minutes.
pub(crate) fn run(connections: u32, load: Load) -> Result<Duration> {
    let start = Instant::now();
    let all = u64::from(connections);
    thread::scope(|scope| {
        let workers: Vec<_> = match load {
            Load::Exchange(cores) => {
                let listener =
                    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listening for the load")?;
                let address = listener.local_addr()?;
                vec![
                    scope.spawn(move || {
                        stay_on(cores)?;
                        (0..connections).try_for_each(|_| answer(&listener))
                    }),
                    scope.spawn(move || {
                        stay_on(cores)?;
                        (0..connections).try_for_each(|_| ask(address))
                    }),
                ]
            }
            Load::Churn { threads } => (0..threads)
                .map(|id| {
                    scope.spawn(move || {
                        let made = churn(id, |made| made < all && start.elapsed() < LIMIT)?;
                        ensure!(made == all, "only {made} of {all} connections in {LIMIT:?}");
                        Ok(())
                    })
                })
                .collect(),
        };
        workers.into_iter().try_for_each(|worker| worker.join().expect("the load does not panic"))
    })?;
    Ok(start.elapsed())
}

/// The number of threads that makes the most connections.
pub(crate) fn threads() -> Result<u8> {
    Ok(u8::try_from(thread::available_parallelism()?.get().min(64))?)
}

/// Connections of a warm-up.
pub(crate) const WARM_UP: u32 = 1_500;

/// A load before the one whose rate counts: an idle core is slower at first, by as much as tracing costs.
///
/// # Errors
/// When a socket cannot be made.
pub(crate) fn warm_up(cores: Cores) -> Result<()> {
    run(WARM_UP, Load::Exchange(cores)).map(drop)
}

/// Makes connections on `threads` for this long, each with both ends on one thread; returns the number of connections.
///
/// # Errors
/// When a socket cannot be made.
pub(crate) fn run_for(length: Duration, threads: u8) -> Result<u64> {
    let deadline = Instant::now() + length;
    thread::scope(|scope| {
        let workers: Vec<_> =
            (0..threads).map(|id| scope.spawn(move || churn(id, |_| Instant::now() < deadline))).collect();
        workers.into_iter().map(|worker| worker.join().expect("the load does not panic")).sum()
    })
}

/// Makes this many connections. The client ends each by a reset.
///
/// # Errors
/// When a socket cannot be made.
pub(crate) fn reset(connections: u32) -> Result<()> {
    let listener = listener()?;
    let address = listener.local_addr()?;
    for _ in 0..connections {
        let client = TcpStream::connect(address).context("connecting")?;
        let (_server, _) = listener.accept().context("accepting")?;
        SockRef::from(&client).set_linger(Some(Duration::ZERO)).context("SO_LINGER")?;
    }
    Ok(())
}

/// A listener with capacity for thousands of half-open connections.
///
/// # Errors
/// When the listener cannot be made.
pub(crate) fn listener() -> Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).context("a socket")?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).context("an address")?;
    socket.listen(4_096).context("listening")?;
    Ok(socket.into())
}

/// Keeps this thread on these cores.
fn stay_on(cores: Cores) -> Result<()> {
    if let Cores::First = cores {
        const THIS: Pid = Pid::from_raw(0);
        let allowed = sched_getaffinity(THIS).context("asking for the cores")?;
        let mut first = CpuSet::new();
        if let Some(core) = (0..CpuSet::count()).find(|core| allowed.is_set(*core) == Ok(true)) {
            first.set(core)?;
        }
        sched_setaffinity(THIS, &first).context("staying on one core")?;
    }
    Ok(())
}

fn answer(listener: &TcpListener) -> Result<()> {
    let (mut peer, _) = listener.accept().context("accepting")?;
    let mut byte = [0];
    peer.read_exact(&mut byte).context("waiting for a question")?;
    peer.write_all(&byte).context("answering")
}

fn ask(address: SocketAddr) -> Result<()> {
    let mut peer = TcpStream::connect(address).context("connecting")?;
    peer.write_all(b"?").context("asking")?;
    peer.read_to_end(&mut Vec::new()).context("waiting for the answer and its end")?;
    Ok(())
}

/// Makes connections as long as `goes_on` of their number is true, and returns that number.
fn churn(thread: u8, goes_on: impl Fn(u64) -> bool) -> Result<u64> {
    let mut made = 0;
    for net in 1..=u8::MAX {
        let address = Ipv4Addr::new(127, 100 + thread, net, 1);
        let listener = TcpListener::bind((address, 0)).context("listening for the load")?;
        let address = listener.local_addr()?;
        for _ in 0..PER_ADDRESS {
            if !goes_on(made) {
                return Ok(made);
            }
            connect(address, &listener)?;
            made += 1;
        }
    }
    Ok(made)
}

/// Makes one connection; the client closes first.
fn connect(address: SocketAddr, listener: &TcpListener) -> Result<()> {
    let client = TcpStream::connect(address).context("connecting")?;
    let (server, _) = listener.accept().context("accepting")?;
    drop(client);
    drop(server);
    Ok(())
}
