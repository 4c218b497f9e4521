//! Recordings whose output takes no data, or not at once: their messages, and the content of the capture all the same.

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    thread::sleep,
    time::Duration,
};

use nix::{
    sys::{signal::Signal, stat::Mode},
    unistd::mkfifo,
};
use serde_json::Value;
use tcptrace_tests::{
    fixture::Fixture,
    host,
    load::{self, Made},
    machine::{Hook, helper, is_root, tcptrace},
    netns::Namespace,
    process::{Running, output},
    recording::{Recording, folder, replay},
    tracer::Tracer,
};
use tempfile::TempDir;

/// More connections than a recorder can buffer: there are ten records of each.
const MANY: u64 = 15_000;

fn load(namespace: &Namespace, connections: u64) -> Made {
    load::make(Command::new(helper(env!("CARGO_BIN_EXE_load"))), namespace, connections)
}

/// Holds the host, and makes a namespace, a folder and a path for a capture in it, for a test that can run here.
fn stage(test: &str) -> Option<(host::Guard, Namespace, TempDir, PathBuf)> {
    let (folder, file) = folder();
    is_root(test).then(|| (host::alone(), Namespace::usual(), folder, file))
}

/// A named pipe, open at both ends: as long as it is, it can be opened for writing.
fn named_pipe(path: &Path) -> File {
    mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR).expect("a pipe");
    File::options().read(true).write(true).open(path).expect("both ends of it")
}

/// Data that the output does not take at once waits in the ring, and comes in order.
#[test]
fn a_reader_that_is_late() {
    let Some((_host, namespace, folder, file)) = stage("a_reader_that_is_late") else { return };
    let pipe = folder.path().join("pipe");
    let ends = named_pipe(&pipe);
    let recording = Recording::start(&pipe, &["--netns", namespace.path()]);
    // The load runs on all CPUs: records that wait on one are older than records that others have sent.
    let mut command = Command::new(helper(env!("CARGO_BIN_EXE_load")));
    command.args(["--threads", "2"]);
    let mut made = load::make(command, &namespace, MANY);
    made.transitions += load::OF_LISTENER;
    // The kernel may close a process' sockets after its parent knows of its end.
    sleep(Duration::from_millis(500));
    let mut late = Command::new("cat");
    let mut late = Running::spawn(late.arg(&pipe).stdout(File::create(&file).expect("a file")));
    let (code, said) = recording.end(Signal::SIGINT);
    drop(ends);
    assert!(late.wait(Duration::from_secs(20)).success());
    assert!(matches!(code, Some(0 | 4)), "{said}");

    let again = replay("trace", &file, &["-o", "json"]);
    assert_eq!(again.code, code, "{}", again.stderr);
    let account = again.account();
    made.assert_seen(account.delivered + account.sampled_out + account.lost, &account);
    let told: Vec<u64> = again
        .lines_of_type("transition")
        .map(|line| serde_json::from_str::<Value>(line).expect("an object"))
        .filter(|line| line["origin"] == "observed")
        .map(|line| line["ktime_ns"].as_u64().expect("a number"))
        .collect();
    assert!(told.len() as u64 == account.delivered && told.is_sorted());
    assert!(!again.stderr.contains("unseen"), "{}", again.stderr);
}

/// The wait for the end of the recording has a limit.
#[test]
fn a_reader_that_never_reads() {
    let Some((_host, namespace, folder, _)) = stage("a_reader_that_never_reads") else { return };
    let pipe = folder.path().join("pipe");
    let _ends = named_pipe(&pipe);
    let recording = Recording::start(&pipe, &["--netns", namespace.path()]);
    load(&namespace, 3_000);
    let (code, said) = recording.end(Signal::SIGINT);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the end of the capture is missing") && said.contains("seen = "), "{said}");
}

/// A recording that fails ends the trace, with its full report.
#[test]
fn a_recording_that_fails() {
    let Some((_host, namespace, _folder, file)) = stage("a_recording_that_fails") else { return };
    // The path of the next file is taken by a folder.
    fs::create_dir(format!("{}.1", file.display())).expect("a folder");
    let write = ["--write", file.to_str().expect("UTF-8"), "--max-size", "16K", "--keep", "1"];
    let all = [&["-o", "json", "--netns", namespace.path()], &write[..]].concat();
    let tracer = Tracer::start(Hook::Tracepoint, &all);
    load(&namespace, 600);
    let report = tracer.join();
    assert_eq!(report.code, Some(1), "{}", report.stderr);
    assert!(report.stderr.contains(&file.display().to_string()), "{}", report.stderr);
    let account = report.account();
    let transitions = report.transitions().len() as u64;
    assert_eq!((account.delivered, account.lost), (transitions, 0), "{}", report.stderr);
}

/// A recording prints nothing to standard output, so it does not need a reader there.
#[test]
fn a_recording_without_standard_output() {
    let Some((_host, namespace, _folder, file)) = stage("a_recording_without_standard_output") else {
        return;
    };
    let mut recording = Recording::start(&file, &["--netns", namespace.path()]);
    recording.leave_stdout();
    let mut made = load(&namespace, 10);
    made += load(&namespace, 10);
    let (code, said) = recording.end(Signal::SIGINT);
    assert_eq!(code, Some(0), "{said}");
    made.assert_seen(replay("trace", &file, &["-o", "json"]).assert_lossless().delivered, &said);
}

/// A full disk ends the recording with an error; a path that is not a regular file is not modified.
#[test]
fn what_cannot_be_written_is_an_error() {
    if !is_root("what_cannot_be_written_is_an_error") {
        return;
    }
    let world = Fixture::new();
    let netns = world.namespace.path().to_owned();
    let (folder, file) = folder();
    let link = folder.path().join("link");
    fs::write(&file, "precious").expect("a file");
    symlink(&file, &link).expect("a link");
    let nowhere = folder.path().join("missing/capture");
    let pipe = folder.path().join("pipe");
    let _reader = named_pipe(&pipe);
    let unread = folder.path().join("unread");
    drop(named_pipe(&unread));
    for (path, arguments, why) in [
        (Path::new("/dev/full"), &[][..], "No space left on device"),
        (&link, &[], "symbolic link"),
        (&nowhere, &[], "No such file or directory"),
        (&pipe, &["--max-size", "1M"], "no regular file"),
        (&unread, &[], "nobody reads from it"),
    ] {
        let mut command = Command::new(tcptrace());
        command.args(["record", "--netns", &netns, "-w"]).arg(path).args(arguments);
        let output = output(&mut command);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(why) && said.contains(&path.display().to_string()), "{said}");
    }
    assert_eq!(fs::read_to_string(&file).expect("a file"), "precious");
    assert!(
        !pipe.is_file() && !unread.is_file() && !folder.path().join("pipe.1").exists(),
        "it is what it was"
    );
}
