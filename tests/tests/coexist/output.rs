//! An output that takes no more data: the tracer ends or goes on as documented, and TCP is not affected.

use std::{
    fs,
    io::Read as _,
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc::Receiver,
    thread::sleep,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use serde_json::Value;
use tcptrace_tests::{
    degraded::under,
    host,
    machine::{is_root, tcptrace},
    net::{Family, listen},
    netns::Namespace,
    process::{Running, lines},
    tracer::Report,
};

use crate::{Made, load};

const CONNECTIONS: u64 = 3_000;
/// The most that all connections together may be slowed down by.
const SLACK: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_secs(20);
/// This many listeners make megabytes a second when scans follow each other as fast as possible.
const LISTENERS: usize = 500;

/// A tracer whose output the test controls.
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

    /// Waits until the tracer ends by itself; returns its exit code and its messages.
    fn join(mut self) -> (Option<i32>, String) {
        let code = self.process.wait(LIMIT).code();
        (code, self.said + &self.stderr.into_iter().collect::<Vec<_>>().join("\n"))
    }
}

/// Measures the load alone, and asserts that it takes no longer while `tracer` cannot write its output.
fn assert_unhindered(namespace: &Namespace, tracer: impl FnOnce() -> Traced) -> (Traced, Made) {
    let alone = load(namespace, CONNECTIONS, &[]).took;
    let tracer = tracer();
    let made = load(namespace, CONNECTIONS, &[]);
    let beside = made.took;
    assert!(beside < 3 * alone + SLACK, "{CONNECTIONS} connections take {beside:?}, alone {alone:?}");
    (tracer, made)
}

/// Redirects the output to a file on a disk that is soon full.
fn on_a_small_disk(folder: &Path) -> String {
    format!("mount -t tmpfs -o size=64k none {0} && exec > {0}/out", folder.display())
}

/// Runs a command on a disk that is soon full. It ends with this code: unwritten output is a loss, and a capture has no
/// end.
fn on_a_full_disk(arguments: &[&str], code: i32) {
    let _host = host::alone();
    let (namespace, folder) = (Namespace::usual(), tempfile::tempdir().expect("a folder"));
    let (mut tracer, made) = assert_unhindered(&namespace, || {
        let mut command = under(&on_a_small_disk(folder.path()), "");
        // The path is resolved after the mount: before it, the folder is another one.
        let arguments =
            arguments.iter().map(|word| word.replace("DISK", &folder.path().display().to_string()));
        Traced::start(command.args(arguments), &namespace)
    });
    assert!(tracer.process.child().try_wait().expect("its state").is_none(), "it goes on");
    tracer.process.signal(Signal::SIGINT);
    let (ended, said) = tracer.join();
    assert_eq!(ended, Some(code), "{said}");
    assert!(said.contains("No space left on device (os error 28); waiting for space"), "{said}");
    assert_accounted(code, said, &made);
    let left = fs::read_dir(folder.path()).expect("the folder").count();
    assert_eq!(left, 0, "the disk was the tracer's own");
}

/// Asserts that the account has each transition of the load.
fn assert_accounted(code: i32, said: String, made: &Made) {
    let account = Report { code: Some(code), stdout: String::new(), stderr: said }.account();
    made.assert_seen(account.delivered + account.sampled_out + account.lost, &account);
}

#[test]
fn a_full_disk_does_not_end_the_trace() {
    if is_root("a_full_disk_does_not_end_the_trace") {
        on_a_full_disk(&["trace", "-o", "json"], 4);
    }
}

#[test]
fn a_full_disk_does_not_end_the_recording() {
    if is_root("a_full_disk_does_not_end_the_recording") {
        on_a_full_disk(&["record", "-w", "DISK/capture"], 1);
    }
}

/// Scans of the host go on while nothing can be written; their results must not accumulate without limit.
#[test]
fn a_full_disk_does_not_fill_the_memory() {
    if !is_root("a_full_disk_does_not_fill_the_memory") {
        return;
    }
    let _host = host::alone();
    let (namespace, folder) = (Namespace::usual(), tempfile::tempdir().expect("a folder"));
    let listeners =
        namespace.hold(|| (0..LISTENERS).map(|_| listen(Family::V4.listen(0))).collect::<Vec<_>>());
    let mut command = under(&on_a_small_disk(folder.path()), "");
    command.args(["record", "--every", "10ms", "-w"]).arg(folder.path().join("capture"));
    let mut tracer = Traced::start(&mut command, &namespace);
    let pid = tracer.process.child().id();
    let resident = || {
        let pages = fs::read_to_string(format!("/proc/{pid}/statm")).expect("it runs");
        let pages: u64 = pages.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
        pages / 256
    };
    // The memory grows until the limit of data that waits to be written is reached.
    let deadline = Instant::now() + 2 * LIMIT;
    let (mut most, mut since) = (resident(), Instant::now());
    while since.elapsed() < Duration::from_secs(5) {
        assert!(Instant::now() < deadline, "it goes on growing: {most} MiB");
        sleep(Duration::from_millis(200));
        let now = resident();
        if now > most {
            (most, since) = (now, Instant::now());
        }
    }
    tracer.process.signal(Signal::SIGINT);
    let (code, said) = tracer.join();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("waiting for space"), "{said}");
    drop(listeners);
}

/// When space is available again, everything that is not left out is written, without a torn line.
#[test]
fn a_disk_with_room_again_takes_the_rest() {
    if !is_root("a_disk_with_room_again_takes_the_rest") {
        return;
    }
    let _host = host::alone();
    let (namespace, folder) = (Namespace::usual(), tempfile::tempdir().expect("a folder"));
    let mut command = under(&on_a_small_disk(folder.path()), "");
    let mut tracer = Traced::start(command.args(["-o", "json"]), &namespace);
    let made = load(&namespace, CONNECTIONS, &[]);
    let pid = tracer.process.child().id();
    let grown = Command::new("nsenter")
        .args(["--mount", "--target", &pid.to_string(), "mount", "-o", "remount,size=100m"])
        .arg(folder.path())
        .status();
    assert!(grown.expect("nsenter").success(), "the disk grows");
    let out = format!("/proc/{pid}/root{}/out", folder.path().display());
    let mut out = fs::File::open(out).expect("what it writes to");
    sleep(Duration::from_secs(4));
    tracer.process.signal(Signal::SIGINT);
    let (code, said) = tracer.join();
    assert!(said.contains("there is space again"), "{said}");
    let mut text = String::new();
    out.read_to_string(&mut text).expect("text");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let summary = lines.last().expect("a summary");
    assert_eq!((&summary["type"], &summary["lost"]["output"]), (&"summary".into(), &0.into()), "{said}");
    let expected = if summary["sampled_out"] == 0 { 0 } else { 4 };
    assert_eq!(code, Some(expected), "{said}");
    assert_accounted(expected, said, &made);
}

/// The reader closes its end while the trace runs: as with `| head`, that is no error.
#[test]
fn a_reader_that_leaves_ends_the_trace() {
    if !is_root("a_reader_that_leaves_ends_the_trace") {
        return;
    }
    let _host = host::alone();
    let namespace = Namespace::usual();
    let (reader, pipe) = std::io::pipe().expect("a pipe");
    let (peer, socket) = UnixStream::pair().expect("sockets");
    let outputs: [(OwnedFd, OwnedFd); 2] = [(reader.into(), pipe.into()), (peer.into(), socket.into())];
    for (reader, output) in outputs {
        let (tracer, _) = assert_unhindered(&namespace, || {
            let mut command = Command::new(tcptrace());
            let tracer = Traced::start(command.args(["-o", "json"]).stdout(output), &namespace);
            drop(reader);
            tracer
        });
        let (code, said) = tracer.join();
        assert_eq!(code, Some(0), "{said}");
    }
}

/// The reader stops reading without closing: the trace goes on, and at its end reports the output that it could not
/// write.
#[test]
fn a_reader_that_sleeps_blocks_nobody() {
    if !is_root("a_reader_that_sleeps_blocks_nobody") {
        return;
    }
    let _host = host::alone();
    let namespace = Namespace::usual();
    let (_peer, socket) = UnixStream::pair().expect("sockets");
    let (mut tracer, _) = assert_unhindered(&namespace, || {
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
