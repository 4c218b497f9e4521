//! The program `load`, and the number of transitions that it makes.

use std::{
    fmt,
    ops::AddAssign,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    init::{self, DuringInit},
    netns::Namespace,
    process::Running,
};

/// Transitions of a connection with both ends in the program.
pub const OF_CONNECTION: u64 = 10;
/// Transitions of a listener of the program.
pub const OF_LISTENER: u64 = 2;

/// The result of a load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Transitions that the load made.
    pub transitions: u64,
    /// The most of these that may be hidden: those in the time of process 1, when some kernels run no program. Nearly
    /// always 0.
    pub hidden: u64,
    /// The duration of the load.
    pub took: Duration,
}

impl Made {
    /// Asserts that all transitions are accounted for, except those that the kernel may have hidden.
    pub fn assert_seen(&self, seen: u64, why: &dyn fmt::Debug) {
        init::assert_seen(seen, self.transitions, self.hidden, why);
    }
}

impl AddAssign for Made {
    fn add_assign(&mut self, more: Self) {
        self.transitions += more.transitions;
        self.hidden += more.hidden;
        self.took += more.took;
    }
}

/// Runs `command`, which begins with `load` or ends with it, to make this many connections in the namespace.
pub fn make(mut command: Command, namespace: &Namespace, connections: u64) -> Made {
    command.args(["--connections", &connections.to_string()]).stdout(Stdio::null());
    let hidden = DuringInit::start(&namespace.inode().to_string(), &["sock/inet_sock_set_state"]);
    let took = namespace.run(move || {
        let start = Instant::now();
        let mut load = Running::spawn(&mut command);
        assert!(load.wait(Duration::from_mins(2)).success(), "the load runs to its end");
        start.elapsed()
    });
    Made { transitions: connections * OF_CONNECTION + OF_LISTENER, hidden: hidden.count(), took }
}
