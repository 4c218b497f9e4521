//! A daemon that a situation has started, with the child processes of the daemon.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{process::Running, wait::eventually};

/// The time that a daemon may take to end after its signal.
const PATIENCE: Duration = Duration::from_secs(5);

/// A running daemon. The drop ends it and its child processes.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    running: Running,
    log: PathBuf,
    end: Signal,
}

impl Daemon {
    pub(super) fn new(name: &str, running: Running, log: PathBuf) -> Self {
        Self { name: name.to_owned(), running, log, end: Signal::SIGTERM }
    }

    /// Makes another signal than SIGTERM end the daemon.
    #[must_use]
    pub fn ended_by(mut self, end: Signal) -> Self {
        self.end = end;
        self
    }

    /// The process id of the daemon.
    pub fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// Its running child processes.
    pub fn children(&self) -> Vec<u32> {
        children(self.pid())
    }

    /// Its workers, which start a little after its listener.
    pub fn workers<const COUNT: usize>(&self) -> [u32; COUNT] {
        eventually(&format!("{} has {COUNT} workers", self.name), || self.children().len() == COUNT);
        self.children().try_into().expect("as many as before")
    }

    /// Sends a signal to its first process.
    pub fn signal(&self, signal: Signal) {
        self.running.signal(signal);
    }

    /// The output of the daemon so far.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until a socket in its namespace listens on this port.
    pub fn await_listener(&mut self, port: u16) {
        let pid = self.pid();
        let ending = format!(":{port:04X}");
        eventually(&format!("{} listens on port {port}", self.name), || {
            let ended = self.running.child().try_wait().expect("a child");
            assert!(ended.is_none(), "{} ended: {}", self.name, self.said());
            ["tcp", "tcp6"].iter().any(|table| {
                let path = format!("/proc/{pid}/net/{table}");
                let text = fs::read_to_string(path).unwrap_or_default();
                text.lines().any(|line| {
                    let words: Vec<_> = line.split_whitespace().collect();
                    words.len() > 3 && words[1].ends_with(&ending) && words[3] == "0A"
                })
            })
        });
    }

    /// Waits until the daemon ends by itself, and returns its output.
    ///
    /// # Panics
    /// When it takes longer than `limit`.
    pub fn finish(mut self, limit: Duration) -> String {
        self.running.wait(limit);
        self.said()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if !matches!(self.running.child().try_wait(), Ok(None)) {
            return;
        }
        let family = descendants(self.pid());
        for pid in &family {
            send(*pid, Signal::SIGCONT);
        }
        send(self.pid(), self.end);
        let deadline = Instant::now() + PATIENCE;
        while matches!(self.running.child().try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        // `Running` kills the first process. Its descendants can outlive it, so they are killed here.
        for pid in family.into_iter().filter(|pid| *pid != self.pid()) {
            let deadline = Instant::now() + Duration::from_secs(1);
            while is_there(pid) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(20));
            }
            if is_there(pid) {
                send(pid, Signal::SIGKILL);
            }
        }
    }
}

/// Sends a signal to a process, if it exists.
pub fn send(pid: u32, signal: Signal) {
    let _ = kill(Pid::from_raw(i32::try_from(pid).expect("a process id")), signal);
}

fn is_there(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// The children of a process, from the lists of all of its threads.
fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

/// A process and all of its descendants.
pub(super) fn descendants(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let mut next = 0;
    while next < all.len() {
        all.extend(children(all[next]));
        next += 1;
    }
    all
}
