//! Where a situation happens: a namespace of servers, one of clients, a cable between them, and a folder.

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
/// The clients' only address, as behind one NAT.
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
/// Led to the clients' namespace, which forwards nothing and says nothing: no answer ever.
pub const NOBODY: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);

/// A server's port.
pub fn at(port: u16) -> SocketAddr {
    (SERVER, port).into()
}

/// The stage of one situation.
#[derive(Debug)]
pub struct Place {
    /// How long honest work is watched, and a fault.
    pub seconds: u64,
    /// Where the daemons run; the namespace that is watched.
    pub servers: Namespace,
    /// Where their clients are.
    pub clients: Namespace,
    pub(super) slot: Slot,
    folder: TempDir,
}

impl Place {
    /// A new one.
    pub fn new(seconds: u64) -> Self {
        let (servers, clients) = (Namespace::usual(), Namespace::usual());
        servers.join(&clients);
        servers.run(|| {
            let through = CLIENT.to_string();
            crate::process::tool("ip", ["route", "add", "203.0.113.0/24", "via", &through]);
            await_neighbour();
        });
        let folder = tempfile::tempdir().expect("a folder");
        // Daemons that give up root read it, too.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
        Self { seconds, servers, clients, slot: Slot::take(), folder }
    }

    /// How long to make work: it ends a little before the watch.
    pub fn work(&self) -> Duration {
        Duration::from_secs(self.seconds.saturating_sub(4).max(1))
    }

    /// The folder of everything.
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

    /// Starts a program in a namespace; what it says goes into the file `NAME.log`.
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

    /// Runs a program to its end in a namespace and returns what it said, also when it fails.
    pub fn run_in(&self, namespace: &Namespace, name: &str, command: Command, limit: Duration) -> String {
        self.start_in(namespace, name, command).finish(limit)
    }
}

/// Waits until the two ends of the cable know each other, so that no first SYN waits for it.
fn await_neighbour() {
    let knock = std::net::UdpSocket::bind((SERVER, 0)).expect("a UDP socket");
    eventually("the cable is up", || {
        let _ = knock.send_to(b"x", (CLIENT, 9));
        let table = fs::read_to_string("/proc/thread-self/net/arp").expect("neighbours");
        table.lines().any(|line| line.starts_with(&CLIENT.to_string()) && line.contains(" 0x2 "))
    });
}
