//! Child processes that never outlive their test and never block it.

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead as _, BufReader, Read},
    panic::resume_unwind,
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{SigSet, SigmaskHow, Signal, kill},
    unistd::Pid,
};

use crate::{machine::is_slow, wait::eventually};

/// A child, killed when dropped.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    /// Starts `command` with no signal blocked, whichever signals this thread has blocked.
    pub fn spawn(command: &mut Command) -> Self {
        let own = SigSet::empty().thread_swap_mask(SigmaskHow::SIG_SETMASK).expect("a signal mask");
        let child = command.spawn();
        own.thread_set_mask().expect("the same as before");
        Self(child.unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    /// The process id of the child.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// The child itself, for its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.0.id()).expect("a process id"));
        kill(pid, signal).unwrap_or_else(|error| panic!("{signal} to {pid}: {error}"));
    }

    /// Waits for the child's end.
    ///
    /// # Panics
    /// When it takes longer than `limit`; on a slow machine, several times as long.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let limit = if is_slow() { 5 * limit } else { limit };
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.0.try_wait().expect("waiting for a child") {
                return status;
            }
            assert!(Instant::now() < deadline, "process {} did not end within {limit:?}", self.0.id());
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Collects all output from a pipe in the background.
pub fn collect(mut pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        let _ = sender.send(bytes);
    });
    receiver
}

/// Sends the lines from a pipe as they come.
pub fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines() {
            let Ok(line) = line else { return };
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Runs a command to its end, at most ten seconds, and returns its output.
pub fn output(command: &mut Command) -> Output {
    let mut running =
        Running::spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()));
    let stdout = collect(running.child().stdout.take().expect("a pipe"));
    let stderr = collect(running.child().stderr.take().expect("a pipe"));
    let status = running.wait(Duration::from_secs(10));
    let bytes =
        |pipe: Receiver<Vec<u8>>| pipe.recv_timeout(Duration::from_secs(5)).expect("the end of a pipe");
    Output { status, stdout: bytes(stdout), stderr: bytes(stderr) }
}

/// Runs a job on each of these at once, such as the start of a tracer, which mostly waits for the kernel.
pub fn at_once<I: Send, T: Send, const N: usize>(items: [I; N], job: impl Fn(I) -> T + Sync) -> [T; N] {
    let job = &job;
    thread::scope(|scope| {
        let threads = items.map(|item| scope.spawn(move || job(item)));
        threads.map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

/// Runs a tool that must succeed, such as `ip`.
pub fn tool<A: AsRef<OsStr>>(name: &str, arguments: impl IntoIterator<Item = A>) {
    let mut command = Command::new(name);
    let output = output(command.args(arguments));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The id of this process' thread with this name, once there is one.
///
/// # Panics
/// No such thread comes.
pub fn thread_named(pid: u32, name: &str) -> u32 {
    let find = || {
        let mut tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
        let comm = |task: &fs::DirEntry| fs::read_to_string(task.path().join("comm"));
        let task = tasks.find(|task| comm(task).is_ok_and(|comm| comm.trim_end() == name))?;
        task.file_name().to_string_lossy().parse().ok()
    };
    eventually(&format!("{pid} has a thread {name}"), || find().is_some());
    find().expect("it stays")
}
