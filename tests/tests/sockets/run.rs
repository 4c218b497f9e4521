//! `tcptrace sockets`, run and read.

use std::process::Command;

use serde_json::Value;
use tcptrace_tests::{machine::tcptrace, process::output};

/// The output of the command.
#[derive(Debug)]
pub(crate) struct SocketsRun {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
}

impl SocketsRun {
    /// Runs the command in this thread's namespaces.
    pub(crate) fn at(arguments: &[&str]) -> Self {
        Self::of(Command::new(tcptrace()).arg("sockets").args(arguments))
    }

    /// Runs a command that becomes `tcptrace sockets`.
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = output(command);
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Self { stdout: text(output.stdout), stderr: text(output.stderr), code: output.status.code() }
    }

    /// The lines of JSON of a type.
    pub(crate) fn of_type(&self, wanted: &str) -> Vec<Value> {
        let lines = self.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        lines.filter(|line| line["type"] == wanted).collect()
    }

    /// The sockets.
    pub(crate) fn sockets(&self) -> Vec<Value> {
        self.of_type("socket")
    }

    /// The summary.
    pub(crate) fn summary(&self) -> Value {
        self.of_type("sockets_summary").pop().expect("a summary")
    }
}
