//! Captures: a replay prints the same bytes as the trace, and every damage of the file is reported.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    thread::sleep,
    time::Duration,
};

use nix::sys::signal::Signal;
use tcptrace_tests::{
    both_hooks,
    fixture::{Fixture, Ports, compare},
    host, load,
    machine::{Hook, helper, is_root, public_copy},
    net::{Family, abort, connect_error, listen, pair, read_error},
    netns::Namespace,
    process::output,
    recording::{Recording, folder, replay},
    steps,
    tracer::Tracer,
};

both_hooks!(replays_show_what_traces_did, filters_apply_to_replays_as_to_traces);

/// Connections of both families that end in several ways, and some that are never established.
fn traffic(ports: Ports) {
    for family in [Family::V4, Family::V6, Family::MappedServer] {
        steps::served(ports, family);
    }
    let listener = listen(Family::V4.listen(ports.port(1)));
    let (client, server) = pair(&listener, Family::V4.connect(ports.port(1)));
    abort(client);
    read_error(&server);
    drop((server, listener));
    connect_error(Family::V4.connect(ports.port(2)));
}

fn load(namespace: &Namespace, connections: u64) {
    load::make(Command::new(helper(env!("CARGO_BIN_EXE_load"))), namespace, connections);
}

/// Compares traces with their replays in every format: the same standard output, and the same account on standard
/// error.
fn replays_show_what_traces_did(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let world = Fixture::new();
    let netns = world.namespace.path().to_owned();
    let (folder, _) = folder();
    let views: [(&str, &[&str]); 6] = [
        ("trace", &["-o", "json", "--half-open"]),
        ("trace", &["-o", "text"]),
        ("trace", &["-o", "wide", "--no-inferred", "-t"]),
        ("trace", &["-o", "csv", "--half-open=poll"]),
        ("life", &["-o", "json"]),
        ("life", &["-o", "text", "--count", "2"]),
    ];
    let tracers: Vec<_> = (0..)
        .zip(views)
        .map(|(number, (command, arguments))| {
            let file = folder.path().join(format!("capture{number}"));
            let write = ["--netns", &netns, "--write", file.to_str().expect("UTF-8")];
            let all = [arguments, &write].concat();
            let tracer = match command {
                "life" => Tracer::start_life(hook, &all),
                _ => Tracer::start(hook, &all),
            };
            (command, arguments, file, tracer)
        })
        .collect();
    let ports = world.ports();
    world.namespace.run(move || traffic(ports));
    world.settle(40);
    for (command, arguments, file, tracer) in tracers {
        let live = if arguments.contains(&"--count") { tracer.join() } else { tracer.stop() };
        let again = replay(command, &file, arguments);
        assert!(live.stdout.lines().count() > 2, "{command} {arguments:?}: {}", live.stderr);
        assert_eq!(again.stdout, live.stdout, "{command} {arguments:?}: {}", again.stderr);
        assert_eq!(again.code, live.code, "{command} {arguments:?}: {}", again.stderr);
        // With `--count`, the capture does not have the events after the last printed one.
        if !arguments.contains(&"--count") {
            let (_, account) = live.stderr.split_once(" Ctrl-C to end.\n").expect("it traced");
            assert_eq!(again.stderr, account, "{command} {arguments:?}");
        }
        let mode = fs::metadata(&file).expect("the capture").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "it tells who talks to whom");
    }
}

/// Compares replays of a capture of everything, through filters, with traces that have these filters.
fn filters_apply_to_replays_as_to_traces(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let world = Fixture::new();
    let netns = world.namespace.path().to_owned();
    let ports = world.ports();
    let (first, second) = (ports.port(0).to_string(), ports.port(1).to_string());
    let pid = std::process::id().to_string();
    let filters: [&[&str]; 10] = [
        &["-4"],
        &["-6"],
        &["-L", &first],
        &["-D", &second],
        &["--remote", "2001:db8::/64"],
        &["--state", "CLOSE_WAIT,LISTEN"],
        &["--from-state", "SYN_SENT"],
        &["--to-state", "ESTABLISHED", "-L", &second],
        &["-p", &pid],
        &["-p", "1"],
    ];
    let (_folder, file) = folder();
    let recording = Recording::start(&file, &["--netns", &netns, "--hook", hook.name()]);
    let json = ["-o", "json", "--netns", &netns];
    let tracers = filters.map(|filter| Tracer::start(hook, &[&json, filter].concat()));
    world.namespace.run(move || traffic(ports));
    load(&world.namespace, 3);
    world.settle(40);
    // No witness has recorded the namespace's other connections.
    sleep(Duration::from_millis(300));
    let (code, said) = recording.end(Signal::SIGINT);
    assert_eq!(code, Some(0), "{said}");
    for (filter, tracer) in filters.iter().zip(tracers) {
        let (live, again) = (tracer.stop(), replay("trace", &file, &[&["-o", "json"], *filter].concat()));
        assert_eq!(again.code, Some(0), "{filter:?}: {}", again.stderr);
        let account = again.assert_lossless();
        assert_eq!(account.delivered, live.assert_lossless().delivered, "{filter:?}");
        compare(&again.transitions(), &live.transitions());
    }
}

/// A killed recorder loses at most the last moment, and the capture reports that its end is missing.
#[test]
fn a_killed_recorder_leaves_a_capture() {
    if !is_root("a_killed_recorder_leaves_a_capture") {
        return;
    }
    let world = Fixture::new();
    let netns = world.namespace.path().to_owned();
    let (_folder, file) = folder();
    let recording = Recording::start(&file, &["--netns", &netns]);
    let ports = world.ports();
    world.namespace.run(move || traffic(ports));
    world.settle(40);
    let before = world.tracefs.transitions();
    sleep(Duration::from_secs(1));
    world.namespace.run(move || traffic(ports));
    recording.end(Signal::SIGKILL);
    let again = replay("trace", &file, &["-o", "json"]);
    assert_eq!(again.code, Some(4), "{}", again.stderr);
    assert!(again.stderr.contains("its end is missing"), "{}", again.stderr);
    let replayed = again.transitions();
    compare(&replayed[..before.len()], &before);
    let report = replay("diagnose", &file, &["-o", "json"]);
    let report: serde_json::Value = serde_json::from_str(&report.stdout).expect("a report");
    assert_eq!(report["verdict"], "insufficient", "{report:#}");
}

/// Files of a limited size, each readable without the others; together they have everything.
#[test]
fn files_follow_each_other() {
    if !is_root("files_follow_each_other") {
        return;
    }
    let _host = host::alone();
    let namespace = Namespace::usual();
    let netns = namespace.path().to_owned();
    let (folder, all) = folder();
    let last = folder.path().join("last");
    let limit = ["--netns", &netns, "--max-size", "16K", "--keep"];
    let everything = Recording::start(&all, &[&limit[..], &["100"]].concat());
    let two = Recording::start(&last, &[&limit[..], &["2"]].concat());
    for _ in 0..6 {
        load(&namespace, 300);
        sleep(Duration::from_millis(600));
    }
    for recording in [everything, two] {
        let (code, said) = recording.end(Signal::SIGINT);
        assert_eq!(code, Some(0), "{said}");
    }
    let numbered = |file: &Path, number: u32| match number {
        0 => file.to_owned(),
        _ => PathBuf::from(format!("{}.{number}", file.display())),
    };
    let kept = |file: &Path| (0..200).take_while(|number| numbered(file, *number).exists()).count();
    assert_eq!(kept(&last), 3, "the current one and two");
    let count = u32::try_from(kept(&all)).expect("few");
    assert!(count > 3, "{count} files");
    let mut transitions = Vec::new();
    for number in (0..count).rev() {
        let part = replay("trace", &numbered(&all, number), &["-o", "json"]);
        part.assert_lossless();
        transitions.extend(part.bare_transitions());
        let look = replay("sockets", &numbered(&all, number), &[]);
        let has_none = look.code == Some(1) && look.stderr.contains("no scan of the host's sockets");
        assert!(look.code == Some(0) || has_none, "{}", look.stderr);
    }
    assert_eq!(transitions.len(), 6 * (300 * 10 + 2), "nothing is lost between two files");
    assert!(transitions.is_sorted_by_key(|transition| transition.ktime_ns));
}

/// An anonymized capture has the same events with other names.
#[test]
fn others_stand_for_addresses_and_names() {
    if !is_root("others_stand_for_addresses_and_names") {
        return;
    }
    let world = Fixture::new();
    let netns = world.namespace.path().to_owned();
    let (folder, file) = folder();
    let shared = folder.path().join("shared");
    let plain = Recording::start(&file, &["--netns", &netns]);
    let anonymous = Recording::start(&shared, &["--netns", &netns, "--anonymize"]);
    let ports = world.ports();
    let held = world.namespace.hold(move || {
        traffic(ports);
        let listener = listen(Family::V4.listen(ports.port(3)));
        let ends = pair(&listener, Family::V4.connect(ports.port(3)));
        (listener, ends)
    });
    world.settle(45);
    for recording in [plain, anonymous] {
        let (code, said) = recording.end(Signal::SIGINT);
        assert_eq!(code, Some(0), "{said}");
    }
    drop(held);
    let [name, host] = ["/proc/self/comm", "/proc/sys/kernel/hostname"]
        .map(|path| fs::read_to_string(path).expect("a name").trim_end().to_owned());
    let secrets = ["192.0.2.", "2001:db8", &name, &format!("\"{host}\""), "/target/"];
    let views: [(&str, &[&str]); 4] = [
        ("trace", &["-o", "json", "--half-open"]),
        ("life", &["-o", "json"]),
        ("sockets", &["-o", "json"]),
        ("diagnose", &["-o", "json"]),
    ];
    for (command, arguments) in views {
        let [plain, anonymous] = [&file, &shared].map(|file| replay(command, file, arguments));
        assert_eq!(anonymous.code, plain.code, "{command}: {}", anonymous.stderr);
        assert_eq!(anonymous.stdout.lines().count(), plain.stdout.lines().count(), "{command}");
        assert!(secrets.iter().any(|secret| plain.stdout.contains(secret)), "{command}: {plain:?}");
        for secret in secrets {
            assert!(!anonymous.stdout.contains(secret), "{command} tells {secret}: {}", anonymous.stdout);
        }
    }
    let of = |file: &Path| {
        let transitions = replay("trace", file, &["-o", "json"]).transitions();
        let story = transitions.into_iter().map(|one| (one.old, one.new, one.tuple.lport));
        story.collect::<Vec<_>>()
    };
    assert_eq!(of(&shared), of(&file));
}

/// Root made the recording; any user can replay it.
#[test]
fn an_ordinary_user_replays() {
    if !is_root("an_ordinary_user_replays") {
        return;
    }
    let world = Fixture::new();
    let (folder, file) = folder();
    let recording = Recording::start(&file, &["--netns", world.namespace.path()]);
    let ports = world.ports();
    world.namespace.run(move || traffic(ports));
    world.settle(40);
    recording.end(Signal::SIGINT);
    let program = public_copy(folder.path());
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("chmod");
    for (command, arguments) in
        [("trace", ["-o", "json"]), ("sockets", ["-o", "csv"]), ("diagnose", ["-o", "json"])]
    {
        let root = replay(command, &file, &arguments);
        let mut user = Command::new("setpriv");
        user.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        user.args(["--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all"]);
        let user = output(user.arg(&program).arg(command).arg("--from").arg(&file).args(arguments));
        assert_eq!(String::from_utf8_lossy(&user.stdout), root.stdout, "{command}");
        assert_eq!(user.status.code(), root.code, "{}", String::from_utf8_lossy(&user.stderr));
    }
}
