//! The command line, the table for people, and repeated scans.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use nix::sys::signal::Signal;
use tcptrace_tests::{
    machine::{is_root, tcptrace},
    net::{Family, listen, pair},
    process::{Running, lines},
};

use crate::{run::SocketsRun, stage::Stage};

#[test]
fn usage() {
    for wrong in
        [&["--by", "colour"][..], &["--watch", "0"], &["-L", "0"], &["--state", "OPEN"], &["-4", "-6"]]
    {
        let run = SocketsRun::at(wrong);
        assert_eq!(run.code, Some(2), "{wrong:?}: {}", run.stderr);
        assert!(run.stdout.is_empty() && !run.stderr.is_empty(), "{wrong:?}");
    }
}

fn stage() -> Stage {
    let stage = Stage::new();
    let first = stage.slot.port(0);
    stage.play(move |kept| {
        for (index, family) in [(0, Family::V4), (1, Family::V6)] {
            let listener = listen(family.listen(first + index));
            let (client, server) = pair(&listener, family.connect(first + index));
            kept.extend([listener, client, server]);
        }
    });
    stage
}

/// A line for each socket, in columns that stay aligned with IPv6 addresses among them.
#[test]
fn columns() {
    if !is_root("columns") {
        return;
    }
    let stage = stage();
    let run = stage.look(&[]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines.len(), 7, "{}", run.stdout);
    let header: Vec<&str> = lines[0].split_whitespace().collect();
    assert_eq!(header, ["STATE", "AGE", "RECV-Q", "SEND-Q", "LOCAL", "REMOTE", "TIMER", "OWNER"]);
    let pid = format!("[{}]", std::process::id());
    for name in ["LOCAL", "REMOTE", "TIMER", "OWNER"] {
        let start = lines[0].find(name).expect("a column");
        for line in &lines[1..] {
            let cell = &line[start..];
            assert!(line.as_bytes()[start - 1] == b' ' && !cell.starts_with(' '), "{name}: {line}");
            match name {
                "OWNER" => assert!(cell.ends_with(&pid), "{line}"),
                "TIMER" => assert!(cell.starts_with("- "), "{line}"),
                _ => assert!(
                    cell.starts_with("192.0.2.1:") || cell.starts_with('[') || cell.starts_with("0.0.0.0:*"),
                    "{line}"
                ),
            }
        }
    }
    assert_eq!(run.stderr, "6 sockets in 1 network namespace: 2 LISTEN, 4 ESTABLISHED\n");
    let wide = stage.look(&["-o", "wide"]).stdout;
    let netns = format!(" netns={} ", stage.namespace.inode());
    assert_eq!(
        wide.lines().filter(|line| line.contains(&netns) && line.contains(" uid=0 ")).count(),
        6,
        "{wide}"
    );
    let coloured = stage.look(&["--color", "always"]).stdout;
    assert!(coloured.contains("\u{1b}[32mESTABLISHED"), "{coloured:?}");
}

/// CSV has the same fields in each row.
#[test]
fn rows() {
    if !is_root("rows") {
        return;
    }
    let csv = stage().look(&["-o", "csv"]).stdout;
    let fields: Vec<usize> = csv.lines().map(|line| line.split(',').count()).collect();
    assert_eq!(fields, [44; 7], "{csv}");
}

#[test]
fn watching_ends_with_ctrl_c() {
    if !is_root("watching_ends_with_ctrl_c") {
        return;
    }
    let stage = stage();
    let mut command = Command::new(tcptrace());
    command.args(["sockets", "--netns", stage.namespace.path(), "--watch", "100ms"]);
    let mut watch = Running::spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()));
    let printed = lines(watch.child().stdout.take().expect("a pipe"));
    let limit = Duration::from_secs(10);
    // Two tables of a header and six lines, with an empty line between them, and no sequence that clears a screen.
    let tables: Vec<String> = (0..15).map(|_| printed.recv_timeout(limit).expect("a line")).collect();
    assert!(
        tables[0].starts_with("STATE ") && tables[7].is_empty() && tables[8].starts_with("STATE "),
        "{tables:?}"
    );
    assert!(!tables.concat().contains('\u{1b}'));
    watch.signal(Signal::SIGINT);
    assert_eq!(watch.wait(limit).code(), Some(0));
}

/// A reader that closes the output early is no error.
#[test]
fn a_reader_that_goes_away() {
    if !is_root("a_reader_that_goes_away") {
        return;
    }
    let stage = stage();
    let mut command = Command::new(tcptrace());
    command.args(["sockets", "--netns", stage.namespace.path(), "--watch", "50ms"]);
    let mut watch = Running::spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()));
    drop(watch.child().stdout.take());
    assert_eq!(watch.wait(Duration::from_secs(10)).code(), Some(0));
}
