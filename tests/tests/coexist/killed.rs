//! A killed tracer cannot clean up: everything that it has in the kernel must end with it.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use aya::{
    maps::loaded_maps,
    programs::{loaded_links, loaded_programs},
};
use nix::sys::signal::Signal;
use tcptrace_tests::{
    both_hooks, host,
    machine::{Hook, is_root, tcptrace},
    netns::Namespace,
    process::{Running, lines},
};

use crate::load;

both_hooks!(nothing_is_left);

/// The kernel frees programs and maps only after all users that may still run them.
const LIMIT: Duration = Duration::from_secs(10);

/// A program, a map or a link, by the name that it has in `fdinfo`.
type Object = (&'static str, u32);

/// Kills all commands that trace, at once and under load.
fn nothing_is_left(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let _host = host::alone();
    let namespace = Namespace::usual();
    let folder = tempfile::tempdir().expect("a folder");
    let capture = folder.path().join("capture");
    let capture = capture.to_str().expect("UTF-8");
    let before = traces();
    let commands: [(&[&str], &str); 5] = [
        (&["trace"], "Tracing TCP "),
        (&["trace", "--half-open", "-o", "json"], "Tracing TCP "),
        (&["trace", "--quiet"], "Tracing TCP "),
        (&["record", "-w", capture], "Recording to "),
        (&["diagnose"], "Watching for "),
    ];
    let tracers: Vec<_> = commands.iter().map(|(arguments, ready)| start(hook, arguments, ready)).collect();
    load(&namespace, 500, &[]);
    let mut all = BTreeSet::new();
    for (tracer, (arguments, _)) in tracers.iter().zip(&commands) {
        let held = held(tracer.pid());
        for kind in ["prog", "map", "link"] {
            assert!(held.iter().any(|(of, _)| *of == kind), "{arguments:?} has no {kind}: {held:?}");
        }
        all.extend(held);
    }
    let unlisted: Vec<_> = all.difference(&loaded()).copied().collect();
    assert!(unlisted.is_empty(), "the kernel lists what they hold, but for {unlisted:?}");

    for mut tracer in tracers {
        tracer.signal(Signal::SIGKILL);
        assert_eq!(tracer.wait(LIMIT).code(), None, "killed");
    }
    // With a program ends its attachment, too: a cgroup or an event would keep the program loaded.
    let deadline = Instant::now() + LIMIT;
    let mut left: Vec<_>;
    while {
        left = all.intersection(&loaded()).copied().collect();
        !left.is_empty()
    } {
        assert!(Instant::now() < deadline, "of {} objects there are still {left:?}", all.len());
        sleep(Duration::from_millis(20));
    }
    let new: Vec<_> = traces().difference(&before).cloned().collect();
    assert!(new.is_empty(), "nothing is mounted, nothing is pinned, but for {new:?}");
}

/// Starts a command, and waits until it prints that it has begun and is attached.
fn start(hook: Hook, arguments: &[&str], ready: &str) -> Running {
    let mut command = Command::new(tcptrace());
    command.args(arguments).args(["--hook", hook.name()]);
    let mut tracer =
        Running::spawn(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()));
    let stderr = lines(tracer.child().stderr.take().expect("a pipe"));
    while !stderr.recv_timeout(Duration::from_mins(1)).expect("it begins").starts_with(ready) {}
    let deadline = Instant::now() + LIMIT;
    while !held(tracer.pid()).iter().any(|(kind, _)| *kind == "link") {
        assert!(Instant::now() < deadline, "{arguments:?} attaches nothing");
        sleep(Duration::from_millis(10));
    }
    tracer
}

/// The eBPF objects of a process: those of its descriptors, and the maps of its programs.
fn held(pid: u32) -> BTreeSet<Object> {
    let mut held = BTreeSet::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo")).expect("it runs") {
        // Descriptors may be closed meanwhile.
        let Ok(text) = fs::read_to_string(entry.expect("an entry").path()) else { continue };
        for (kind, field) in [("prog", "prog_id:"), ("map", "map_id:"), ("link", "link_id:")] {
            let id = text.lines().find_map(|line| line.strip_prefix(field)?.trim().parse().ok());
            held.extend(id.map(|id| (kind, id)));
        }
    }
    let programs = loaded_programs().filter_map(Result::ok);
    let maps: Vec<u32> = programs
        .filter(|program| held.contains(&("prog", program.id())))
        .flat_map(|program| program.map_ids().expect("its maps").unwrap_or_default())
        .collect();
    held.extend(maps.into_iter().map(|id| ("map", id)));
    held
}

/// All objects that are loaded on this host. An object that is unloaded meanwhile is an error in the list.
fn loaded() -> BTreeSet<Object> {
    let programs = loaded_programs().filter_map(|program| Some(("prog", program.ok()?.id())));
    let maps = loaded_maps().filter_map(|map| Some(("map", map.ok()?.id())));
    let links = loaded_links().filter_map(|link| Some(("link", link.ok()?.id())));
    programs.chain(maps).chain(links).collect()
}

/// Mounts of the file systems that a tracer uses, and the objects pinned in the bpf file system.
fn traces() -> BTreeSet<String> {
    let text = fs::read_to_string("/proc/self/mountinfo").expect("/proc is mounted");
    let concerned = |line: &&str| {
        ["bpf", "cgroup2", "debugfs", "tracefs"].iter().any(|kind| line.contains(&format!(" - {kind} ")))
    };
    let mut found: BTreeSet<_> = text.lines().filter(concerned).map(str::to_owned).collect();
    let mut folders = vec![Path::new("/sys/fs/bpf").to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
            found.insert(entry.path().display().to_string());
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            }
        }
    }
    found
}
