//! More than the tracer can take: losses are counted exactly and told in every format.

use std::{
    process::{Command, Stdio},
    thread::sleep,
    time::Duration,
};

use nix::sys::signal::Signal;
use tcptrace_tests::{
    both_hooks, host,
    machine::{Hook, helper, is_root},
    netns::Namespace,
    process::Running,
    tracer::{Account, Report, Tracer},
};

both_hooks!(paused_reader_json, paused_reader_text, paused_reader_csv, blocked_output, slow_output);

/// Exit code of a trace that lost transitions.
const LOSSY: Option<i32> = Some(4);
/// Transitions of a connection of `load`, and of its listener.
const OF_CONNECTION: u64 = 10;
const OF_LISTENER: u64 = 2;

fn namespace() -> Namespace {
    Namespace::new(&(32_768..=60_999))
}

fn load(namespace: &Namespace, connections: u64) -> u64 {
    namespace.run(move || {
        let mut command = Command::new(helper(env!("CARGO_BIN_EXE_load")));
        let mut load =
            Running::spawn(command.args(["--connections", &connections.to_string()]).stdout(Stdio::null()));
        assert!(load.wait(Duration::from_mins(2)).success(), "the load runs to its end");
    });
    connections * OF_CONNECTION + OF_LISTENER
}

/// Loads while the tracer is stopped; with the smallest ring, nearly everything is lost.
fn paused(hook: Hook, format: &str, namespace: &Namespace) -> (Tracer, u64) {
    let netns = namespace.inode().to_string();
    let tracer = Tracer::start(hook, &["-o", format, "--netns", &netns, "--buffer", "4K"]);
    tracer.signal(Signal::SIGSTOP);
    let transitions = load(namespace, 3_000);
    tracer.signal(Signal::SIGCONT);
    // Losses are looked for a few times a second.
    sleep(Duration::from_millis(700));
    (tracer, transitions)
}

fn paused_reader_json(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let _host = host::alone();
    let namespace = namespace();
    let (tracer, transitions) = paused(hook, "json", &namespace);
    let report = tracer.stop();
    assert_eq!(report.code, LOSSY, "{}", report.stderr);
    let account = report.summary();
    assert!(account.lost > 0, "{account:?}");
    assert_eq!(account.delivered + account.lost, transitions, "{account:?}");
    assert!(account.delivered > 0, "what fitted is printed: {account:?}");
    assert_told(&report, &account);
}

/// Asserts that the losses told in the stream are those of the account; returns how many lines tell of them.
fn assert_told(report: &Report, account: &Account) -> usize {
    let losses = report.of_type("loss");
    let told: u64 = losses.iter().map(|loss| loss["lost"]["ring_full"].as_u64().expect("a number")).sum();
    assert_eq!(told, account.lost, "the losses told in the stream add up: {losses:?}");
    let total = losses.last().expect("a loss is told")["total"].as_u64();
    assert_eq!(total, Some(account.lost + account.missed_runs));
    losses.len()
}

/// Stopped and let go several times while the load runs, each time for longer than the default ring has room.
#[test]
fn paused_again_and_again() {
    const ROUNDS: usize = 3;
    /// More transitions than 4 MiB have room for.
    const WHILE_STOPPED: u64 = 4_000;
    const WHILE_RUNNING: u64 = 300;
    if !is_root("paused_again_and_again") {
        return;
    }
    let _host = host::alone();
    let namespace = namespace();
    let netns = namespace.inode().to_string();
    let tracer = Tracer::start(Hook::TpBtf, &["-o", "json", "--netns", &netns]);
    let mut transitions = 0;
    for _ in 0..ROUNDS {
        transitions += load(&namespace, WHILE_RUNNING);
        tracer.signal(Signal::SIGSTOP);
        transitions += load(&namespace, WHILE_STOPPED);
        tracer.signal(Signal::SIGCONT);
        sleep(Duration::from_millis(700));
    }
    tracer.catch_up();
    let report = tracer.stop();
    assert_eq!(report.code, LOSSY, "{}", report.stderr);
    let account = report.summary();
    assert_eq!(account.delivered + account.lost, transitions, "{account:?}");
    let least = ROUNDS as u64 * WHILE_RUNNING * OF_CONNECTION;
    assert!(account.delivered > least && account.lost > 0, "{account:?}");
    let told = assert_told(&report, &account);
    assert!(told >= ROUNDS, "each time is told, not {told} times");
}

fn paused_reader_text(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let _host = host::alone();
    let namespace = namespace();
    let (tracer, transitions) = paused(hook, "text", &namespace);
    let report = tracer.stop();
    assert_eq!(report.code, LOSSY, "{}", report.stderr);
    let account = report.account();
    assert_eq!(account.delivered + account.lost, transitions, "{}", report.stderr);
    assert!(account.lost > 0 && report.stderr.contains("a larger --buffer"), "{}", report.stderr);
    let told: u64 = report.stdout.lines().filter_map(lost_in_text).sum();
    assert_eq!(told, account.lost, "LOST lines add up");
}

/// `13:02:11.120 LOST 512 transitions here (...)`.
fn lost_in_text(line: &str) -> Option<u64> {
    let (_, rest) = line.split_once(" LOST ")?;
    rest.split(' ').next()?.parse().ok()
}

fn paused_reader_csv(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let _host = host::alone();
    let namespace = namespace();
    let (tracer, _) = paused(hook, "csv", &namespace);
    let report = tracer.stop();
    assert_eq!(report.code, LOSSY, "{}", report.stderr);
    let header = report.stdout.lines().next().expect("a header");
    let column = header.split(',').position(|name| name == "lost").expect("a column of losses");
    let told: u64 = report
        .stdout
        .lines()
        .filter(|line| line.starts_with("loss,"))
        .map(|line| line.split(',').nth(column).and_then(|lost| lost.parse::<u64>().ok()).expect("a number"))
        .sum();
    assert!(told > 0, "{}", report.stdout);
    assert_eq!(told, report.account().lost, "loss rows add up");
}

/// Nobody reads the output while the trace runs, nor when it is to end.
fn blocked_output(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let _host = host::alone();
    let namespace = namespace();
    let netns = namespace.inode().to_string();
    let tracer = Tracer::start_unread(hook, &["-o", "json", "--netns", &netns, "--buffer", "256K"]);
    let transitions = load(&namespace, 10_000);
    let report = tracer.stop();
    assert_eq!(report.code, LOSSY, "{}", report.stderr);
    let account = report.account();
    assert!(account.lost > 0, "{}", report.stderr);
    assert_eq!(account.delivered + account.lost, transitions, "{}", report.stderr);
    let whole =
        report.stdout.lines().filter(|line| line.starts_with('{') && line.ends_with('}')).count() as u64;
    assert!(whole >= account.delivered, "{whole} lines came out, {} were counted", account.delivered);
}

/// Nobody reads the output at first, then somebody does: what the kernel had to drop meanwhile is told, and
/// the rest is there.
fn slow_output(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let _host = host::alone();
    let namespace = namespace();
    let netns = namespace.inode().to_string();
    let mut tracer = Tracer::start_unread(hook, &["-o", "json", "--netns", &netns, "--buffer", "256K"]);
    let transitions = load(&namespace, 10_000);
    tracer.read();
    sleep(Duration::from_secs(1));
    let report = tracer.stop();
    assert_eq!(report.code, LOSSY, "{}", report.stderr);
    let account = report.summary();
    assert!(account.lost > 0, "{account:?}");
    assert_eq!(account.delivered + account.lost, transitions, "{account:?}");
    assert!(!report.of_type("loss").is_empty(), "the loss is told in the stream");
}
