//! A tracer beside other programs, and its effects on the host. A killed tracer leaves nothing behind. Beside another
//! tracer or a busy program, everything that it cannot see is counted. With an output that is not read, TCP goes on.

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
