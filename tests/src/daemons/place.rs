//! The place of a situation: a namespace of servers, one of clients, a pair of devices between them, and a folder.

use std::{
    fs::{self, File},
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tempfile::TempDir;

use super::daemon::Daemon;
use crate::{netns::Namespace, process::Running, slot::Slot, wait::eventually};

/// The servers' address.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// The only address of the clients, as behind one NAT.
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
/// An address that is routed to the clients' namespace, which neither forwards nor replies: no reply ever comes.
pub const NOBODY: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);

/// The server's address with this port.
pub fn at(port: u16) -> SocketAddr {
    (SERVER, port).into()
}

/// The place of one situation.
#[derive(Debug)]
pub struct Place {
    /// The duration of the watch, for normal work or a fault.
    pub seconds: u64,
    /// The namespace of the daemons, which tcptrace watches.
    pub servers: Namespace,
    /// The namespace of the clients.
    pub clients: Namespace,
    pub(super) slot: Slot,
    folder: TempDir,
}

impl Place {
    /// Makes a new place.
    pub fn new(seconds: u64) -> Self {
        let (servers, clients) = (Namespace::usual(), Namespace::usual());
        servers.join(&clients);
        servers.run(|| {
            let through = CLIENT.to_string();
            crate::process::tool("ip", ["route", "add", "203.0.113.0/24", "via", &through]);
            await_neighbour();
        });
        let folder = tempfile::tempdir().expect("a folder");
        // Daemons that give up root read the folder, too.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
        Self { seconds, servers, clients, slot: Slot::take(), folder }
    }

    /// The duration of the work. It ends a little before the watch.
    pub fn work(&self) -> Duration {
        Duration::from_secs(self.seconds.saturating_sub(4).max(1))
    }

    /// The folder of all files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into the folder. `@` in it stands for the folder's path.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        let folder = self.folder.path().to_str().expect("UTF-8");
        let mut file = File::create(&path).expect("a file");
        file.write_all(text.replace('@', folder).as_bytes()).expect("a file");
        path
    }

    /// Starts a daemon among the servers and waits until it listens on this port.
    pub fn serve(&self, name: &str, command: Command, port: u16) -> Daemon {
        let mut daemon = self.start(name, command);
        daemon.await_listener(port);
        daemon
    }

    /// Starts a daemon among the servers.
    pub fn start(&self, name: &str, command: Command) -> Daemon {
        self.start_in(&self.servers, name, command)
    }

    /// Starts a program in a namespace; its output goes into the file `NAME.log`.
    pub fn start_in(&self, namespace: &Namespace, name: &str, mut command: Command) -> Daemon {
        let log = self.path(&format!("{name}.log"));
        let (to, folder) = (log.clone(), self.folder.path().to_owned());
        let running = namespace.run(move || {
            let file = File::options().create(true).append(true).open(&to).expect("a log");
            let same = file.try_clone().expect("a descriptor");
            command.stdin(std::process::Stdio::null()).stdout(file).stderr(same).current_dir(folder);
            Running::spawn(&mut command)
        });
        Daemon::new(name, running, log)
    }

    /// Runs a program to its end in a namespace and returns its output, also when it fails.
    pub fn run_in(&self, namespace: &Namespace, name: &str, command: Command, limit: Duration) -> String {
        self.start_in(namespace, name, command).finish(limit)
    }
}

/// Waits until the neighbour entries of the devices are resolved, so that no first SYN waits for them.
fn await_neighbour() {
    let knock = std::net::UdpSocket::bind((SERVER, 0)).expect("a UDP socket");
    eventually("the cable is up", || {
        let _ = knock.send_to(b"x", (CLIENT, 9));
        let table = fs::read_to_string("/proc/thread-self/net/arp").expect("neighbours");
        table.lines().any(|line| line.starts_with(&CLIENT.to_string()) && line.contains(" 0x2 "))
    });
}
