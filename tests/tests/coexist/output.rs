//! An output that takes nothing any more: the tracer ends or goes on as it says, and TCP does not notice.

use std::{
    fs,
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc::Receiver,
    time::Duration,
};

use nix::sys::signal::Signal;
use tcptrace_tests::{
    host,
    lacking::under,
    machine::{is_root, tcptrace},
    netns::Namespace,
    process::{Running, lines},
};

use crate::{load, namespace};

const CONNECTIONS: u64 = 3_000;
/// What a connection must not be slowed down by, all together.
const SLACK: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_secs(20);

/// A tracer whose output is the test's business.
struct Traced {
    process: Running,
    stderr: Receiver<String>,
    said: String,
}

impl Traced {
    fn start(command: &mut Command, namespace: &Namespace) -> Self {
        command.args(["--netns", namespace.path()]).stdin(Stdio::null()).stderr(Stdio::piped());
        let mut process = Running::spawn(command);
        let stderr = lines(process.child().stderr.take().expect("a pipe"));
        let mut said = String::new();
        while !said.contains("Ctrl-C") {
            said = said + &stderr.recv_timeout(LIMIT).expect("it begins") + "\n";
        }
        Self { process, stderr, said }
    }

    /// Waits for it to end by itself; its exit code, and what it said.
    fn join(mut self) -> (Option<i32>, String) {
        let code = self.process.wait(LIMIT).code();
        (code, self.said + &self.stderr.into_iter().collect::<Vec<_>>().join("\n"))
    }
}

/// How long the load takes, and then that it takes no longer while `tracer` is not rid of its output.
fn assert_unhindered(namespace: &Namespace, tracer: impl FnOnce() -> Traced) -> Traced {
    let alone = load(namespace, CONNECTIONS, &[]);
    let tracer = tracer();
    let beside = load(namespace, CONNECTIONS, &[]);
    assert!(beside < 3 * alone + SLACK, "{CONNECTIONS} connections take {beside:?}, alone {alone:?}");
    tracer
}

/// A file on a disk that is full after a moment.
fn on_a_small_disk(folder: &Path) -> String {
    format!("mount -t tmpfs -o size=64k none {0} && exec > {0}/out", folder.display())
}

#[test]
fn a_full_disk_ends_the_trace() {
    if !is_root("a_full_disk_ends_the_trace") {
        return;
    }
    let _host = host::alone();
    let (namespace, folder) = (namespace(), tempfile::tempdir().expect("a folder"));
    let file = folder.path().join("capture");
    let file = file.to_str().expect("UTF-8");
    for arguments in [&["trace", "-o", "json"][..], &["trace", "-o", "csv"], &["record", "-w", file]] {
        let tracer = assert_unhindered(&namespace, || {
            Traced::start(under(&on_a_small_disk(folder.path()), "").args(arguments), &namespace)
        });
        let (code, said) = tracer.join();
        assert_eq!(code, Some(1), "{arguments:?}: {said}");
        assert!(said.contains("No space left on device"), "{arguments:?}: {said}");
    }
    let left = fs::read_dir(folder.path()).expect("the folder").count();
    assert_eq!(left, 0, "the disk was the tracer's own");
}

/// Who reads goes away while the trace runs: as with `| head`, that is no fault.
#[test]
fn a_reader_that_leaves_ends_the_trace() {
    if !is_root("a_reader_that_leaves_ends_the_trace") {
        return;
    }
    let _host = host::alone();
    let namespace = namespace();
    let (reader, pipe) = std::io::pipe().expect("a pipe");
    let (peer, socket) = UnixStream::pair().expect("sockets");
    let outputs: [(OwnedFd, OwnedFd); 2] = [(reader.into(), pipe.into()), (peer.into(), socket.into())];
    for (reader, output) in outputs {
        let tracer = assert_unhindered(&namespace, || {
            let mut command = Command::new(tcptrace());
            let tracer = Traced::start(command.args(["-o", "json"]).stdout(output), &namespace);
            drop(reader);
            tracer
        });
        let (code, said) = tracer.join();
        assert_eq!(code, Some(0), "{said}");
    }
}

/// Who reads does so no more: the trace goes on, and at its end says what it could not get rid of.
#[test]
fn a_reader_that_sleeps_blocks_nobody() {
    if !is_root("a_reader_that_sleeps_blocks_nobody") {
        return;
    }
    let _host = host::alone();
    let namespace = namespace();
    let (_peer, socket) = UnixStream::pair().expect("sockets");
    let mut tracer = assert_unhindered(&namespace, || {
        let mut command = Command::new(tcptrace());
        Traced::start(command.args(["-o", "json"]).stdout(OwnedFd::from(socket)), &namespace)
    });
    let running = tracer.process.child().try_wait().expect("its state").is_none();
    assert!(running, "it goes on");
    tracer.process.signal(Signal::SIGINT);
    let (code, said) = tracer.join();
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("Output: what reads it did not keep up"), "{said}");
}
