//! A tracer beside others, and what becomes of the host whatever becomes of the tracer: killed, it leaves nothing; beside
//! another tracer or a busy program, what it cannot see is counted; with an output that takes nothing, TCP goes on.

mod beside;
mod killed;
mod neighbour;
mod output;

use std::process::Command;

use tcptrace_tests::{
    load::{self, Made},
    machine::helper,
    netns::Namespace,
};

/// Makes connections in the namespace.
fn load(namespace: &Namespace, connections: u64, arguments: &[&str]) -> Made {
    let mut command = Command::new(helper(env!("CARGO_BIN_EXE_load")));
    command.args(arguments);
    load::make(command, namespace, connections)
}
