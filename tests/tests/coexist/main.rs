//! A tracer beside others, and what becomes of the host whatever becomes of the tracer: killed, it leaves nothing; beside
//! another tracer or a busy program, what it cannot see is counted; with an output that takes nothing, TCP goes on.

mod beside;
mod killed;
mod neighbour;
mod output;

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use tcptrace_tests::{
    load::{OF_CONNECTION, OF_LISTENER},
    machine::helper,
    netns::Namespace,
    process::Running,
};

/// Makes connections in the namespace, and returns how long that took.
fn load(namespace: &Namespace, connections: u64, arguments: &[&str]) -> Duration {
    let mut command = Command::new(helper(env!("CARGO_BIN_EXE_load")));
    command.args(["--connections", &connections.to_string()]).args(arguments).stdout(Stdio::null());
    namespace.run(move || {
        let start = Instant::now();
        let mut load = Running::spawn(&mut command);
        assert!(load.wait(Duration::from_mins(1)).success(), "the load runs to its end");
        start.elapsed()
    })
}
