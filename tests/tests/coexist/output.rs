//! An output that takes nothing any more: the tracer ends or goes on as it says, and TCP does not notice.

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
/// What a connection must not be slowed down by, all together.
const SLACK: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_secs(20);
/// So many that looks as often as possible make megabytes a second.
const LISTENERS: usize = 500;

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
fn assert_unhindered(namespace: &Namespace, tracer: impl FnOnce() -> Traced) -> (Traced, Made) {
    let alone = load(namespace, CONNECTIONS, &[]).took;
    let tracer = tracer();
    let made = load(namespace, CONNECTIONS, &[]);
    let beside = made.took;
    assert!(beside < 3 * alone + SLACK, "{CONNECTIONS} connections take {beside:?}, alone {alone:?}");
    (tracer, made)
}

/// A file on a disk that is full after a moment.
fn on_a_small_disk(folder: &Path) -> String {
    format!("mount -t tmpfs -o size=64k none {0} && exec > {0}/out", folder.display())
}

/// Which ends with this code, as what was not written is a loss, or leaves a capture without an end.
fn on_a_full_disk(arguments: &[&str], code: i32) {
    let _host = host::alone();
    let (namespace, folder) = (Namespace::usual(), tempfile::tempdir().expect("a folder"));
    let (mut tracer, made) = assert_unhindered(&namespace, || {
        let mut command = under(&on_a_small_disk(folder.path()), "");
        // Only there: before the mount, the folder is another one.
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

/// Asserts that each transition of the load is in the account.
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

/// Looks at the host go on while nothing can be written: what they see is not gathered without end.
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
    // It grows until as much as may wait to be written does.
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

/// Where room comes, everything that is not left out follows, without a torn line.
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

/// Who reads goes away while the trace runs: as with `| head`, that is no fault.
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

/// Who reads does so no more: the trace goes on, and at its end says what it could not get rid of.
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
