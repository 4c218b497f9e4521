//! The command line: usage errors, missing privileges, and commands that do not trace.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    process::{Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use tcptrace_tests::{
    both_hooks,
    fixture::Fixture,
    host,
    machine::{Hook, is_root, public_copy, tcptrace},
    net::{Family, listen, pair, read_end},
    netns::Namespace,
    process::{Running, collect, output},
    tracer::Tracer,
};

both_hooks!(
    life_like_tcplife,
    closed_pipe,
    without_tracefs,
    leaves_nothing_behind,
    without_its_terminal,
    every_signal_ends_it_well
);

const USAGE: Option<i32> = Some(2);

fn run(arguments: &[&str]) -> Output {
    output(Command::new(tcptrace()).args(arguments))
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

/// Each message states the error and the correction.
#[test]
fn usage_errors() {
    for (arguments, helpful) in [
        (&["-L", "http"][..], "8000-8999"),
        (&["-L", "0"], "1 to 65535"),
        (&["-L", "65536"], "1 to 65535"),
        (&["-L", "90-80"], "80-90"),
        (&["-D", "80,,81"], "1 to 65535"),
        (&["--local", "192.0.2.0/33"], "192.0.2.0/24"),
        (&["--remote", "example.com"], "2001:db8::/32"),
        (&["--state", "OPEN"], "ESTABLISHED, SYN_SENT"),
        (&["--to-state", "CLOSE_WAIT,"], "CLOSE_WAIT"),
        (&["--netns", "no-such-namespace"], "ip netns"),
        (&["--netns", "/proc/1/ns/none"], "/proc/PID/ns/net"),
        (&["--netns", "0"], "inode"),
        (&["--netns", ""], "ip netns"),
        (&["--netns", "/etc/passwd"], "not a network namespace"),
        (&["--netns", "/proc/self/ns/pid"], "not a network namespace"),
        (&["--buffer", "0"], "the ring buffer can have"),
        (&["--buffer", "2G"], "the ring buffer can have"),
        (&["--buffer", "much"], "4M"),
        (&["-4", "-6"], "cannot be used with"),
        (&["-t", "-T"], "cannot be used with"),
        (&["-o", "xml"], "json"),
        (&["--hook", "kprobe"], "tp_btf"),
        (&["--duration", "soon"], "soon"),
        (&["--count", "0"], "--count"),
        (&["--pid", "0"], "--pid"),
        (&["--max-connections", "0"], "--max-connections"),
        (&["--frobnicate"], "--frobnicate"),
        (&["trace", "-L", "http"], "8000-8999"),
        (&["life", "-L", "http"], "8000-8999"),
        (&["life", "--state", "ESTABLISHED"], "--state"),
        (&["life", "--quiet"], "--quiet"),
        (&["life", "-w", "-o", "json"], "cannot be used with"),
        (&["life", "-w", "-s"], "cannot be used with"),
        // Options of a recording do not apply to a capture that exists already.
        (&["--from", "capture", "--anonymize"], "cannot be used with"),
        (&["life", "--from", "capture", "--max-size", "1M"], "cannot be used with"),
        (&["diagnose", "--from", "capture", "--anonymize"], "cannot be used with"),
        (&["-s", "-o", "json"], "cannot be used with"),
        (&["completions", "tcsh"], "bash"),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), USAGE, "{arguments:?}: {}", stderr(&output));
        assert!(
            stderr(&output).contains(helpful),
            "{arguments:?} does not say '{helpful}': {}",
            stderr(&output)
        );
        assert!(output.stdout.is_empty(), "{arguments:?}: errors are not output: {}", stdout(&output));
    }
}

#[test]
fn too_many_prefixes() {
    let many: Vec<String> = (0..200).map(|host| format!("192.0.2.{host}/32")).collect();
    let output = run(&["--local", &many.join(",")]);
    assert_eq!(output.status.code(), USAGE, "{}", stderr(&output));
    assert!(stderr(&output).contains("--local: 200 prefixes given, at most "), "{}", stderr(&output));
}

#[test]
fn help_and_version() {
    let help = run(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    for word in ["--local-port", "--netns", "--to-state", "Exit codes", "completions"] {
        assert!(stdout(&help).contains(word), "no {word} in the help");
    }
    let version = run(&["--version"]);
    assert!(stdout(&version).starts_with("tcptrace "), "{}", stdout(&version));
}

#[test]
fn completions_and_manual() {
    // The form in which each shell knows a command and one of its options.
    for (shell, sign, option) in [
        ("bash", "complete -F _tcptrace ", "\n                --local-port)\n"),
        ("zsh", "#compdef tcptrace\n", "'*--local-port=[Local ports"),
        ("fish", "complete -c tcptrace ", "_using_subcommand trace\" -s L -l local-port -d 'Local ports"),
    ] {
        let output = run(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}: {}", stderr(&output));
        for part in [sign, option] {
            assert!(stdout(&output).contains(part), "{shell}: no {part} in {}", stdout(&output));
        }
    }
    let manual = run(&["man"]);
    assert_eq!(manual.status.code(), Some(0));
    assert!(stdout(&manual).contains(".TH tcptrace"), "{}", stdout(&manual));
    // Each page that the page refers to exists.
    let page = stdout(&manual);
    let named = page.lines().filter_map(|line| line.strip_prefix("tcptrace\\-")?.strip_suffix("(1)"));
    for command in named {
        let manual = run(&["man", command]);
        assert!(stdout(&manual).contains(&format!(".TH tcptrace-{command} 1")), "{}", stdout(&manual));
    }
    assert!(page.contains("tcptrace\\-life(1)") && page.contains("of diagnose 3 findings"), "{page}");
    assert_eq!(run(&["man", "sl"]).status.code(), USAGE);
}

/// The shell accepts the script.
#[test]
fn bash_accepts_its_completions() {
    let script = stdout(&run(&["completions", "bash"]));
    let checked = output(Command::new("bash").args(["-n", "-c", &script]));
    assert!(checked.status.success(), "{}", stderr(&checked));
}

/// `nobody` in most distributions.
const NOBODY: u32 = 65_534;

#[test]
fn without_privileges() {
    if !is_root("without_privileges") {
        return;
    }
    let directory = tempfile::TempDir::new().expect("a directory");
    let binary = public_copy(directory.path());
    for arguments in [&[][..], &["--hook", "tp_btf"], &["--hook", "tracepoint"]] {
        let output = output(Command::new(&binary).args(arguments).uid(NOBODY).gid(NOBODY));
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        let message = stderr(&output);
        assert!(message.contains("CAP_BPF") && message.contains("sudo"), "{message}");
        assert_eq!(message.lines().count(), 1, "one sentence: {message}");
    }
}

/// `| head -2`: the reader ends after two lines.
fn closed_pipe(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let _host = host::share();
    let namespace = Namespace::usual();
    let netns = namespace.inode().to_string();
    let mut command = Command::new(tcptrace());
    command.args(["--hook", hook.name(), "--netns", &netns]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut tracer = Running::spawn(&mut command);
    let errors = collect(tracer.child().stderr.take().expect("a pipe"));
    let mut reader = BufReader::new(tracer.child().stdout.take().expect("a pipe"));
    let mut header = String::new();
    reader.read_line(&mut header).expect("the header comes at once");
    assert!(header.starts_with("TIME"), "{header}");
    namespace.run(|| drop(listen(Family::V4.listen(40_000))));
    reader.read_line(&mut String::new()).expect("a transition");
    drop(reader);
    namespace.run(|| drop(listen(Family::V4.listen(40_000))));
    assert_eq!(tracer.wait(Duration::from_secs(10)).code(), Some(0));
    let errors = String::from_utf8(errors.recv().expect("standard error")).expect("UTF-8");
    assert_eq!(errors.lines().count(), 1, "nothing but the announcement: {errors}");
}

/// In a mount namespace without tracefs and debugfs, both hooks work, and leave no mount behind.
fn without_tracefs(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let world = Fixture::new();
    let netns = world.namespace.inode().to_string();
    let mut command = Command::new("unshare");
    let script = "umount -l /sys/kernel/tracing /sys/kernel/debug 2>/dev/null; \
                  test ! -e /sys/kernel/tracing/events || exit 99; exec \"$0\" \"$@\"";
    command.args(["--mount", "sh", "-c", script]).arg(tcptrace());
    let mut tracer = Tracer::spawn(command.args(["--hook", hook.name(), "-o", "json", "--netns", &netns]));
    tracer.read();
    let ports = world.ports();
    world.namespace.run(move || drop(listen(ports.listen(Family::V4))));
    world.settle(2);
    let report = tracer.stop();
    report.assert_lossless();
    assert_eq!(report.transitions().len(), 2, "{}", report.stdout);
}

/// The options known from tcplife.
fn life_like_tcplife(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let world = Fixture::new();
    let netns = world.namespace.inode().to_string();
    let port = world.slot.port(0).to_string();
    let tracers = [
        (&["-T"][..], "TIME     OWNER "),
        (&["-t", "-w"], "TIME(s)      OWNER "),
        (&["-s"], "type,time,ktime_ns,"),
        (&["-L", &port], "TIME         OWNER "),
    ]
    .map(|(options, header)| {
        (Tracer::start_life(hook, &[&["--netns", &netns], options].concat()), options.to_owned(), header)
    });
    let others = [["-L", "1"], ["-D", "1"], ["-p", "1"], ["-6", "-T"]]
        .map(|options| (Tracer::start_life(hook, &[&["--netns", &netns][..], &options].concat()), options));
    let ports = world.ports();
    world.namespace.run(move || {
        let listener = listen(ports.listen(Family::V4));
        let (client, server) = pair(&listener, ports.connect(Family::V4));
        drop(client);
        read_end(&server);
        drop((server, listener));
    });
    world.settle(12);
    for (tracer, options, header) in tracers {
        let report = tracer.stop();
        assert_eq!(report.code, Some(0), "{options:?}: {}", report.stderr);
        let mut lines = report.stdout.lines();
        assert!(lines.next().is_some_and(|line| line.starts_with(header)), "{options:?}: {}", report.stdout);
        let ends = if options.contains(&"-L") { 1 } else { 2 };
        assert_eq!(lines.count(), ends, "{options:?}: {}", report.stdout);
        let wide = report.stdout.contains("ESTABLISHED=");
        assert_eq!(wide, options.contains(&"-w"), "{options:?}: {}", report.stdout);
        assert!(
            report.stderr.contains(&format!("\n{ends} connections ended")),
            "{options:?}: {}",
            report.stderr
        );
    }
    for (tracer, options) in others {
        let report = tracer.stop();
        assert_eq!(
            report.stdout.lines().count(),
            1,
            "nothing but the header by {options:?}: {}",
            report.stdout
        );
    }
}

/// A killed tracer cannot clean up, but leaves no program in the kernel.
fn leaves_nothing_behind(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let _host = host::share();
    let mut tracer = Tracer::start_unread(hook, &["--quiet"]);
    let ours = program_ids(tracer.pid());
    let loaded = || -> Vec<u32> {
        let programs = aya::programs::loaded_programs();
        programs.filter_map(|program| Some(program.ok()?.id())).collect()
    };
    assert!(!ours.is_empty() && ours.iter().all(|id| loaded().contains(id)), "{ours:?} of {:?}", loaded());
    tracer.read();
    tracer.signal(Signal::SIGKILL);
    assert_eq!(tracer.join().code, None, "killed");
    // The kernel frees programs a moment later.
    let deadline = Instant::now() + Duration::from_secs(5);
    while ours.iter().any(|id| loaded().contains(id)) {
        assert!(Instant::now() < deadline, "{ours:?} are still loaded");
        sleep(Duration::from_millis(20));
    }
}

/// The ids of the programs that a process has open, from its descriptors in `/proc`.
fn program_ids(pid: u32) -> Vec<u32> {
    let infos = fs::read_dir(format!("/proc/{pid}/fdinfo")).expect("the process runs");
    let id = |entry: fs::DirEntry| {
        let info = fs::read_to_string(entry.path()).ok()?;
        info.lines().find_map(|line| line.strip_prefix("prog_id:")?.trim().parse().ok())
    };
    infos.filter_map(|entry| id(entry.ok()?)).collect()
}

/// With `nohup`, the tracer goes on without its terminal.
fn without_its_terminal(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let _host = host::share();
    let namespace = Namespace::usual();
    let netns = namespace.inode().to_string();
    let mut command = Command::new("nohup");
    command.arg(tcptrace()).args(["--hook", hook.name(), "-o", "json", "--netns", &netns]);
    let mut tracer = Tracer::spawn(&mut command);
    tracer.read();
    tracer.signal(Signal::SIGHUP);
    sleep(Duration::from_millis(300));
    namespace.run(|| drop(listen(Family::V4.listen(40_000))));
    let report = tracer.stop();
    report.assert_lossless();
    assert_eq!(report.transitions().len(), 2, "{}", report.stdout);
}

fn every_signal_ends_it_well(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let _host = host::share();
    let namespace = Namespace::usual();
    let netns = namespace.inode().to_string();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let tracer = Tracer::start(hook, &["-o", "json", "--netns", &netns]);
        namespace.run(|| drop(listen(Family::V4.listen(40_000))));
        tracer.signal(signal);
        let report = tracer.join();
        assert_eq!(report.assert_lossless().delivered, 2, "{signal}: what was in the ring is printed first");
        assert!(report.stderr.contains("2 delivered"), "{signal}: {}", report.stderr);
    }
}
