//! Connections that are held open, for a snapshot of a busy host.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Connections to one address, below the 28,000 ephemeral ports of the default range.
const PER_ADDRESS: u32 = 20_000;

/// Processes that hold connections, until dropped.
pub(crate) struct Held(Vec<Child>);

/// Makes `connections` with both ends on this host, in as few processes as the limit of open files allows.
///
/// # Errors
/// When a process or a connection cannot be made.
pub(crate) fn start(connections: u32) -> Result<Held> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let each = u32::try_from(most.saturating_sub(100) / 2).unwrap_or(u32::MAX).clamp(1, connections);
    let mut held = Held(Vec::new());
    let mut left = connections;
    while left > 0 {
        let share = left.min(each);
        let child = Command::new(std::env::current_exe()?)
            .args(["--hold", &share.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting a process to hold connections")?;
        held.0.push(child);
        left -= share;
    }
    for child in &mut held.0 {
        let mut line = String::new();
        let output = child.stdout.take().context("no output")?;
        BufReader::new(output).read_line(&mut line)?;
        anyhow::ensure!(line == "held\n", "a process could not make its connections");
    }
    Ok(held)
}

impl Held {
    /// The number of processes.
    pub(crate) fn processes(&self) -> usize {
        self.0.len()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        for child in &mut self.0 {
            drop(child.stdin.take());
            let _ = child.wait();
        }
    }
}

/// The work of such a process: connects, prints that it has, and waits for the end of its input.
///
/// # Errors
/// When a connection cannot be made.
pub(crate) fn hold(connections: u32) -> Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let mut sockets = Vec::new();
    let mut left = connections;
    // An address range for each process, so that two processes do not compete for the same ports.
    let [.., high, low] = std::process::id().to_be_bytes();
    for net in 1..=u8::MAX {
        let listener = TcpListener::bind((Ipv4Addr::new(127, net, high, low), 0)).context("listening")?;
        let address: SocketAddr = listener.local_addr()?;
        for _ in 0..left.min(PER_ADDRESS) {
            sockets.push(TcpStream::connect(address).context("connecting")?);
            sockets.push(listener.accept().context("accepting")?.0);
        }
        left = left.saturating_sub(PER_ADDRESS);
        if left == 0 {
            break;
        }
    }
    println!("held");
    std::io::stdout().flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
