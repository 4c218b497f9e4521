//! More events than the tracer can take. It leaves out a share, then all. The missing events are counted exactly and
//! reported in every format, and the tracer recovers by itself.

use std::{collections::BTreeSet, process::Command, thread::sleep, time::Duration};

use nix::sys::signal::Signal;
use serde_json::Value;
use tcptrace_tests::{
    both_hooks, host,
    load::{self, Made},
    machine::{Hook, helper, is_root},
    netns::Namespace,
    tracer::{Account, Report, Tracer},
};

both_hooks!(
    paused_reader_json,
    paused_reader_text,
    paused_reader_csv,
    blocked_output,
    slow_output,
    a_low_ceiling
);

/// The exit code of a trace that does not show everything.
const LOSSY: Option<i32> = Some(4);

/// Makes connections in the namespace.
fn load(namespace: &Namespace, connections: u64) -> Made {
    load::make(Command::new(helper(env!("CARGO_BIN_EXE_load"))), namespace, connections)
}

/// Loads while the tracer is stopped; the smallest ring takes only some records. One thread makes all connections, so
/// two CPUs never compete for the capacity that is left.
fn paused(hook: Hook, format: &str, namespace: &Namespace) -> (Tracer, Made) {
    let netns = namespace.inode().to_string();
    let tracer = Tracer::start(hook, &["-o", format, "--netns", &netns, "--buffer", "4K"]);
    tracer.signal(Signal::SIGSTOP);
    let made = load(namespace, 3_000);
    tracer.signal(Signal::SIGCONT);
    // The tracer checks for missing records a few times a second.
    sleep(Duration::from_millis(700));
    (tracer, made)
}

/// Asserts that all of these are accounted for, and that some were left out.
fn assert_degraded(report: &Report, account: &Account, made: &Made) {
    assert_eq!(report.code, LOSSY, "{}", report.stderr);
    assert!(account.sampled_out > 0, "{account:?}");
    made.assert_seen(account.delivered + account.sampled_out + account.lost, account);
}

/// Asserts that the sums of the JSON lines agree with the account; returns the lines about records that were left out.
fn assert_told(report: &Report, account: &Account) -> Vec<Value> {
    let sum = |lines: &[Value], what: fn(&Value) -> &Value| -> u64 {
        lines.iter().map(|line| what(line).as_u64().expect("a number")).sum()
    };
    let losses = report.of_type("loss");
    assert_eq!(sum(&losses, |line| &line["lost"]["ring_full"]), account.lost, "{losses:?}");
    let degraded = report.of_type("degraded");
    let told = sum(&degraded, |line| &line["sampled_out"]["transitions"]);
    assert_eq!(told, account.sampled_out, "{degraded:?}");
    degraded
}

/// Asserts that everything is shown again at the end of the stream.
fn assert_recovered(degraded: &[Value]) {
    let last = degraded.last().expect("it is told");
    assert_eq!((&last["mode"], &last["one_in"]), (&"full".into(), &1.into()), "{degraded:?}");
}

fn paused_reader_json(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let _host = host::alone();
    let namespace = Namespace::usual();
    let (tracer, made) = paused(hook, "json", &namespace);
    let report = tracer.stop();
    let account = report.summary();
    assert_degraded(&report, &account, &made);
    assert!(account.delivered > 0, "what fitted is shown: {account:?}");
    assert_eq!(account.lost, 0, "each record that is sent has room: {account:?}");
    assert_told(&report, &account);
}

/// The tracer is stopped and continued several times under load, each time for longer than the default ring can take.
#[test]
fn paused_again_and_again() {
    const ROUNDS: usize = 3;
    /// More transitions than 4 MiB can take.
    const WHILE_STOPPED: u64 = 4_000;
    const WHILE_RUNNING: u64 = 300;
    if !is_root("paused_again_and_again") {
        return;
    }
    let _host = host::alone();
    let namespace = Namespace::usual();
    let netns = namespace.inode().to_string();
    let tracer = Tracer::start(Hook::TpBtf, &["-o", "json", "--netns", &netns]);
    let mut made = Made::default();
    for _ in 0..ROUNDS {
        made += load(&namespace, WHILE_RUNNING);
        tracer.signal(Signal::SIGSTOP);
        made += load(&namespace, WHILE_STOPPED);
        tracer.signal(Signal::SIGCONT);
        sleep(Duration::from_millis(700));
    }
    tracer.catch_up();
    sleep(Duration::from_secs(3));
    let report = tracer.stop();
    let account = report.summary();
    assert_degraded(&report, &account, &made);
    assert_eq!(account.lost, 0, "less is sent before the ring is full");
    let degraded = assert_told(&report, &account);
    let times = degraded.iter().filter(|line| line["sampled_out"]["transitions"] != 0).count();
    assert!(times >= ROUNDS, "each time is told: {degraded:?}");
    assert_recovered(&degraded);
}

/// A load far above `--max-rate`. A socket that is shown is shown to its end, and after the load everything is shown
/// again.
fn a_low_ceiling(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let _host = host::alone();
    let namespace = Namespace::usual();
    let netns = namespace.inode().to_string();
    let tracer = Tracer::start(hook, &["-o", "json", "--netns", &netns, "--max-rate", "1000"]);
    let mut made = load(&namespace, 40_000);
    sleep(Duration::from_secs(4));
    made += load(&namespace, 10);
    let report = tracer.stop();
    let account = report.summary();
    assert_degraded(&report, &account, &made);
    assert_eq!(account.lost, 0, "{account:?}");
    let degraded = assert_told(&report, &account);
    assert_recovered(&degraded);
    let counted: u64 = degraded
        .iter()
        .flat_map(|line| line["matrix"].as_array().expect("a matrix"))
        .map(|cell| cell["count"].as_u64().expect("a number"))
        .sum();
    assert!((account.sampled_out..=account.seen).contains(&counted), "{counted}: {account:?}");
    if hook == Hook::TpBtf {
        assert_whole_lives(&report, &degraded);
    }
}

/// Asserts that clients which begin after the share has stopped falling have their end as well.
fn assert_whole_lives(report: &Report, degraded: &[Value]) {
    let share = |line: &Value| line["one_in"].as_u64();
    let falls = |pair: &&[Value]| share(&pair[0]) < share(&pair[1]);
    let last_fall = degraded.windows(2).rfind(falls).map_or(&degraded[0], |pair| &pair[1]);
    let settled = last_fall["ktime_ns"].as_u64();
    let transitions = report.of_type("transition");
    let cookies = |is_wanted: &dyn Fn(&Value) -> bool| -> BTreeSet<u64> {
        let wanted = transitions.iter().filter(|line| line["ktime_ns"].as_u64() > settled && is_wanted(line));
        wanted.map(|line| line["cookie"].as_u64().expect("a cookie")).collect()
    };
    let begun = cookies(&|line| line["new_state"] == "SYN_SENT");
    let ended = cookies(&|line| line["new_state"] == "CLOSE");
    assert!(begun.len() > 10, "{} begin", begun.len());
    let endless: Vec<_> = begun.difference(&ended).collect();
    assert!(endless.is_empty(), "without an end: {endless:?}");
}

fn paused_reader_text(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let _host = host::alone();
    let namespace = Namespace::usual();
    let (tracer, made) = paused(hook, "text", &namespace);
    let report = tracer.stop();
    let account = report.account();
    assert_degraded(&report, &account, &made);
    assert_eq!(account.lost, 0, "each record that is sent has room: {account:?}");
    let told: u64 = report.stdout.lines().filter_map(|line| before(line, "LOST ", " transitions here")).sum();
    assert_eq!(told, account.lost, "LOST lines add up");
    let told: u64 =
        report.stdout.lines().filter_map(|line| before(line, "; ", " transitions only counted")).sum();
    assert_eq!(told, account.sampled_out, "lines of what was only counted add up");
}

/// The number between these two texts.
fn before(line: &str, begin: &str, end: &str) -> Option<u64> {
    let (head, _) = line.split_once(end)?;
    head.rsplit_once(begin)?.1.parse().ok()
}

fn paused_reader_csv(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let _host = host::alone();
    let namespace = Namespace::usual();
    let (tracer, made) = paused(hook, "csv", &namespace);
    let report = tracer.stop();
    let account = report.account();
    assert_degraded(&report, &account, &made);
    let header = report.stdout.lines().next().expect("a header");
    let column = header.split(',').position(|name| name == "lost").expect("a column of losses");
    let told = |kind: &str| -> u64 {
        let rows = report.stdout.lines().filter(|line| line.starts_with(kind));
        let number = |line: &str| line.split(',').nth(column).and_then(|lost| lost.parse::<u64>().ok());
        rows.map(|row| number(row).expect("a number")).sum()
    };
    let signals = before(&report.stderr, "and ", " signals sampled out").unwrap_or(0);
    let left_out = account.sampled_out + signals;
    assert_eq!((told("loss,"), told("degraded,")), (account.lost, left_out), "rows add up");
    assert_eq!(account.lost, 0, "each record that is sent has room: {account:?}");
    assert!(account.delivered > 0, "{account:?}");
}

/// The output is not read, neither while the trace runs nor at its end.
fn blocked_output(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let _host = host::alone();
    let namespace = Namespace::usual();
    let netns = namespace.inode().to_string();
    let tracer = Tracer::start_unread(hook, &["-o", "json", "--netns", &netns, "--buffer", "256K"]);
    let made = load(&namespace, 10_000);
    let report = tracer.stop();
    let account = report.account();
    assert_degraded(&report, &account, &made);
    assert!(account.lost > 0, "what was on its way is lost: {}", report.stderr);
    let whole =
        report.stdout.lines().filter(|line| line.starts_with('{') && line.ends_with('}')).count() as u64;
    assert!(whole >= account.delivered, "{whole} lines came out, {} were counted", account.delivered);
}

/// The output is not read at first, and then it is: only the records that were left out meanwhile are missing.
fn slow_output(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let _host = host::alone();
    let namespace = Namespace::usual();
    let netns = namespace.inode().to_string();
    let mut tracer = Tracer::start_unread(hook, &["-o", "json", "--netns", &netns, "--buffer", "256K"]);
    let made = load(&namespace, 10_000);
    tracer.read();
    sleep(Duration::from_secs(4));
    let report = tracer.stop();
    let account = report.summary();
    assert_degraded(&report, &account, &made);
    assert_eq!(account.lost, 0, "{account:?}");
    assert_recovered(&assert_told(&report, &account));
}
