//! Other processes with sockets.

use std::{
    fs,
    process::{Command, Stdio},
    time::Duration,
};

use tcptrace_tests::{actor, machine::helper, process::Running};

const LIMIT: Duration = Duration::from_secs(10);

/// A process that acts on request and then keeps its sockets until it is dropped.
pub(crate) struct Actor(Running);

impl Actor {
    /// Starts an actor. `action` is in the form that `actor` takes.
    pub(crate) fn new(action: &[&str]) -> Self {
        let mut command = Command::new(path());
        Self(Running::spawn(command.args(action).stdin(Stdio::piped()).stdout(Stdio::piped())))
    }

    /// Starts an actor and makes it act at once.
    pub(crate) fn acting(action: &[&str]) -> (Self, String) {
        let mut actor = Self::new(action);
        let line = actor.act();
        (actor, line)
    }

    /// Starts an actor that receives a socket over the Unix socket `path`, which exists on return.
    pub(crate) fn receiving(path: &str) -> Self {
        let receiver = Self::new(&["receive", path]);
        while fs::metadata(path).is_err() {
            std::thread::yield_now();
        }
        receiver
    }

    /// Makes the actor act.
    pub(crate) fn begin(&mut self) {
        actor::begin(&mut self.0);
    }

    /// Makes the actor act, and returns the line that it prints.
    pub(crate) fn act(&mut self) -> String {
        let line = actor::act(&mut self.0);
        assert!(!line.is_empty(), "the actor failed");
        line
    }

    /// Ends the actor's standard input, and waits for its end.
    pub(crate) fn end(mut self) {
        drop(self.0.child().stdin.take());
        self.0.wait(LIMIT);
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.pid()
    }

    /// Kills the actor.
    pub(crate) fn kill(mut self) {
        self.0.signal(nix::sys::signal::Signal::SIGKILL);
        self.0.wait(LIMIT);
    }
}

/// The path of the program.
pub(crate) fn path() -> std::path::PathBuf {
    helper(env!("CARGO_BIN_EXE_actor"))
}
