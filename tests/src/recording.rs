//! Captures: made, and replayed.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc::Receiver,
    time::Duration,
};

use nix::sys::signal::Signal;

use crate::{
    machine::tcptrace,
    process::{Running, lines, output},
    tracer::Report,
};

/// A folder that is removed when it is dropped, and a path for a capture in it.
pub fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("capture");
    (folder, file)
}

/// A running `tcptrace record`.
pub struct Recording {
    process: Running,
    stderr: Receiver<String>,
}

impl Recording {
    /// Starts `tcptrace record -w FILE ARGUMENTS`, and waits until it records.
    pub fn start(file: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(tcptrace());
        command.arg("record").arg("-w").arg(file).args(arguments);
        let mut process =
            Running::spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()));
        let stderr = lines(process.child().stderr.take().expect("a pipe"));
        while !stderr.recv_timeout(Duration::from_mins(1)).expect("it begins").starts_with("Recording to ") {}
        Self { process, stderr }
    }

    /// Closes the read end of its standard output.
    pub fn leave_stdout(&mut self) {
        drop(self.process.child().stdout.take());
    }

    /// Ends the recording by a signal; returns its exit code and its messages.
    pub fn end(mut self, signal: Signal) -> (Option<i32>, String) {
        self.process.signal(signal);
        let code = self.process.wait(Duration::from_secs(30)).code();
        (code, self.stderr.into_iter().collect::<Vec<_>>().join("\n"))
    }
}

/// Runs a command on a capture.
pub fn replay(command: &str, file: &Path, arguments: &[&str]) -> Report {
    let output = output(Command::new(tcptrace()).arg(command).arg("--from").arg(file).args(arguments));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Report { stdout: text(output.stdout), stderr: text(output.stderr), code: output.status.code() }
}
