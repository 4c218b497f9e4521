//! Owners of sockets: they agree with `ss -p`, and hostile names are escaped.

use std::{
    collections::BTreeSet, fs, os::unix::fs::PermissionsExt as _, process::Stdio, thread::sleep,
    time::Duration,
};

use serde_json::Value;
use tcptrace_tests::{
    actor,
    machine::{helper, is_root, public_copy},
    net::{Family, connect, listen, pair, read_end},
    process::Running,
    wait::eventually,
};

use crate::{run::SocketsRun, ss, stage::Stage};

/// Starts `actor listen ADDRESS` in the namespace, and waits until it listens.
fn actor(stage: &Stage, program: &str, port: u16) -> Running {
    let address = Family::V4.listen(port).to_string();
    let mut command = stage.command(program);
    command.args(["listen", &address]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut actor = Running::spawn(&mut command);
    actor::begin(&mut actor);
    eventually("the actor listens", || stage.ss().iter().any(|line| line.local.1 == port));
    actor
}

fn actor_program() -> String {
    helper(env!("CARGO_BIN_EXE_actor")).to_string_lossy().into_owned()
}

/// Process ids and descriptors of a socket's own holders.
fn holders(socket: &Value) -> BTreeSet<(u64, u64)> {
    let owners = socket["owners"].as_array().expect("a list").iter();
    let exact = owners.filter(|owner| owner["provenance"] == "exact");
    exact
        .map(|owner| (owner["pid"].as_u64().expect("a pid"), owner["fd"].as_u64().expect("a number")))
        .collect()
}

#[test]
fn owners_agree_with_ss() {
    if !is_root("owners_agree_with_ss") {
        return;
    }
    let stage = Stage::new();
    let port = stage.slot.port(0);
    let actor = actor(&stage, &actor_program(), port);
    let own = Family::V4.listen(stage.slot.port(1));
    stage.play(move |kept| {
        let listener = listen(own);
        let (client, server) = pair(&listener, own);
        let unaccepted = connect(Family::V4.connect(port));
        kept.extend([listener, client, server, unaccepted]);
    });
    let witnessed = stage.namespace.run(ss::lines_with_users);
    let run = stage.look(&["-o", "json"]);
    assert_eq!((run.code, run.sockets().len()), (Some(0), 6), "{}", run.stderr);
    for socket in run.sockets() {
        let line = witnessed.iter().find(|line| socket["cookie"] == line.cookie).expect("ss knows it");
        // ss does not read the tables of threads, and this test's threads have their own.
        if socket["lport"] == port || !line.users.is_empty() {
            assert_eq!(holders(&socket), line.users.iter().copied().collect(), "{socket}");
        } else {
            let pids: Vec<_> = holders(&socket).into_iter().map(|(pid, _)| pid).collect();
            assert_eq!(pids, [u64::from(std::process::id())], "{socket}");
        }
    }
    // The connection is not accepted: its owner is the process that would accept it.
    let unaccepted = run.sockets().into_iter().find(|one| one["inode"].is_null()).expect("a child");
    let owner = &unaccepted["owners"][0];
    assert_eq!((&owner["pid"], &owner["provenance"]), (&actor.pid().into(), &"inherited".into()));
    assert_eq!(owner["comm"], "actor");

    let pid = actor.pid().to_string();
    let of_actor = stage.look(&["-o", "json", "-p", &pid]);
    let states: Vec<_> = of_actor.sockets().iter().map(|socket| socket["state"].clone()).collect();
    assert_eq!(states, ["LISTEN", "ESTABLISHED"], "its listener, and what waits there");
    let text = stage.look(&["-p", &pid]).stdout;
    assert!(
        text.contains(&format!(" actor[{pid}]\n")) && text.contains(&format!(" ~actor[{pid}]\n")),
        "{text}"
    );
}

/// A connection in TIME_WAIT does not belong to a process that listens on its port but began later.
#[test]
fn a_connection_of_who_listened_before() {
    if !is_root("a_connection_of_who_listened_before") {
        return;
    }
    let stage = Stage::new();
    let ports = [stage.slot.port(0), stage.slot.port(1)];
    stage.play(move |kept| {
        for port in ports {
            let listener = listen(Family::V4.listen(port));
            let (client, server) = pair(&listener, Family::V4.connect(port));
            drop(server);
            read_end(&client);
            // The second listener stays open.
            kept.extend((port == ports[1]).then_some(listener));
        }
    });
    // Start times of processes have a resolution of a hundredth of a second.
    sleep(Duration::from_millis(50));
    let actor = actor(&stage, &actor_program(), ports[0]);
    let run = stage.look(&["-o", "json", "--state", "TIME_WAIT"]);
    let owners = |port| {
        let socket = run.sockets().into_iter().find(|socket| socket["lport"] == port);
        let owners = socket.unwrap_or_else(|| panic!("{port} rests: {}", run.stdout))["owners"].clone();
        owners.as_array().expect("a list").iter().map(|owner| owner["pid"].clone()).collect::<Vec<_>>()
    };
    assert_eq!((owners(ports[0]), owners(ports[1])), (vec![], vec![std::process::id().into()]));
    let of_actor = stage.look(&["-o", "json", "--state", "TIME_WAIT", "-p", &actor.pid().to_string()]);
    assert_eq!(of_actor.sockets(), Vec::<Value>::new(), "nor by its process");
}

/// A program may have any name: in red, on a new line, with commas.
#[test]
fn hostile_names_are_escaped() {
    if !is_root("hostile_names_are_escaped") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
    let program = folder.path().join("\u{1b}[31m\n\r,\"=x");
    fs::copy(actor_program(), &program).expect("a copy");
    let stage = Stage::new();
    let _actor = actor(&stage, program.to_str().expect("UTF-8"), stage.slot.port(0));
    for format in ["text", "wide", "json", "csv"] {
        for by in [&[][..], &["--by", "process"], &["--by", "container"]] {
            let run = stage.look(&[&["-o", format, "--color", "never"], by].concat());
            assert_eq!(run.code, Some(0), "{}", run.stderr);
            let raw = |c: char| c != '\n' && c.is_control();
            assert!(!run.stdout.contains(raw), "{format} {by:?}: {:?}", run.stdout);
            assert_eq!(run.stdout.lines().count(), 2, "{format}: {}", run.stdout);
            if by != ["--by", "container"] {
                assert!(run.stdout.contains("x1b[31m"), "{format} {by:?}: {}", run.stdout);
            }
        }
    }
    let deleted = || stage.look(&["-o", "json"]).sockets()[0]["owners"][0]["exe_deleted"].clone();
    assert_eq!(deleted(), false);
    fs::remove_file(&program).expect("it was there");
    assert_eq!(deleted(), true);
}

/// An ordinary user sees the sockets of its own namespace, but not the owners of other users' sockets, and a message
/// says so.
#[test]
fn an_ordinary_user() {
    if !is_root("an_ordinary_user") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let program = public_copy(folder.path());
    let stage = Stage::new();
    let address = Family::V4.listen(stage.slot.port(0));
    stage.play(move |kept| kept.push(listen(address)));
    let mut command = stage.command("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    command.args(["--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all"]);
    let run = SocketsRun::of(command.arg(program).args(["sockets", "-o", "json"]));
    assert_eq!(run.code, Some(4), "{}", run.stderr);
    let sockets = run.sockets();
    let [socket] = &sockets[..] else { panic!("one socket: {}", run.stdout) };
    assert_eq!(socket["lport"], address.port());
    assert_eq!(socket["owners"], Value::Array(Vec::new()), "unknown, not guessed");
    let gaps = run.summary()["gaps"].clone();
    assert!(gaps["processes_with_unknown_netns"].as_u64() > Some(0), "{gaps}");
    assert_eq!(gaps["sockets_without_owner"], 1, "{gaps}");
    let told: Vec<&str> =
        run.stderr.lines().filter(|line| line.starts_with("tcptrace: not seen: ")).collect();
    assert_eq!(told.len(), 1, "in one line: {}", run.stderr);
    assert!(told[0].contains("root sees more"), "{}", told[0]);
}
