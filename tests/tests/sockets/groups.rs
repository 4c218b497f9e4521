//! The counts of groups are the counts of their sockets.

use std::{collections::BTreeMap, process::Stdio};

use serde_json::Value;
use tcptrace_tests::{
    actor,
    machine::{helper, is_root},
    net::{Family, connect, listen, pair},
    process::Running,
};

use crate::stage::Stage;

fn stage() -> Stage {
    let stage = Stage::new();
    let first = stage.slot.port(0);
    stage.play(move |kept| {
        for (index, clients) in [(0, 3), (1, 1)] {
            let address = Family::V4.listen(first + index);
            let listener = listen(address);
            for _ in 0..clients {
                let (client, server) = pair(&listener, address);
                kept.extend([client, server]);
            }
            kept.push(listener);
        }
        let any = Family::MappedServer;
        let listener = listen(any.listen(first + 2));
        kept.extend([connect(any.connect(first + 2)), listener]);
    });
    stage
}

fn counts(groups: &[Value]) -> BTreeMap<String, u64> {
    let count = |group: &Value| {
        let states = group["states"].as_object().expect("counts").values();
        let total = group["total"].as_u64().expect("a number");
        assert_eq!(states.filter_map(Value::as_u64).sum::<u64>(), total, "{group}");
        (group["key"].as_str().expect("a key").to_owned(), total)
    };
    groups.iter().map(count).collect()
}

fn expected(pairs: &[(&str, u64)]) -> BTreeMap<String, u64> {
    pairs.iter().map(|(key, count)| ((*key).to_owned(), *count)).collect()
}

#[test]
fn groups() {
    if !is_root("groups") {
        return;
    }
    let stage = stage();
    let by = |what: &str| {
        let run = stage.look(&["-o", "json", "--by", what]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let groups = run.of_type("sockets_group");
        let totals: Vec<_> = groups.iter().map(|group| group["total"].as_u64()).collect();
        assert!(totals.is_sorted_by(|a, b| a >= b), "the greatest first: {totals:?}");
        assert_eq!(run.summary()["sockets"], 13);
        counts(&groups)
    };
    assert_eq!(by("state"), expected(&[("LISTEN", 3), ("ESTABLISHED", 10)]));
    assert_eq!(by("peer"), expected(&[("192.0.2.1", 10), ("-", 3)]));
    let port = |index| stage.slot.port(index);
    let listeners =
        [format!("192.0.2.1:{}", port(0)), format!("192.0.2.1:{}", port(1)), format!("[::]:{}", port(2))];
    let [a, b, c] = &listeners;
    assert_eq!(by("listener"), expected(&[("-", 5), (a, 4), (b, 2), (c, 2)]));
    let pid = std::process::id();
    let processes = by("process");
    let (key, count) = processes.iter().next().expect("a group");
    assert!(key.ends_with(&format!("[{pid}]")), "{key}");
    // The connection that is not accepted yet belongs to the listener.
    assert_eq!((processes.len(), *count), (1, 13));
    assert_eq!(by("container").values().sum::<u64>(), 13);

    let text = stage.look(&["--by", "listener"]).stdout;
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["TOTAL", "LISTEN", "ESTABLISHED", "LISTENER"]);
    assert!(lines.contains(&vec!["4", "1", "3", a]), "{text}");
    let csv = stage.look(&["-o", "csv", "--by", "state"]).stdout;
    assert!(
        csv.starts_with("type,by,key,netns,total,ESTABLISHED,")
            && csv.contains("\nsockets_group,state,LISTEN,,3,0,"),
        "{csv}"
    );
}

/// A listener held by four processes counts for each of them. Its unaccepted connections count for none of them, since
/// it is not known which process will accept them. The unaccepted connections of a listener with one process belong to
/// that process.
#[test]
fn sockets_that_nobody_has() {
    if !is_root("sockets_that_nobody_has") {
        return;
    }
    let stage = Stage::new();
    let [many, one] = [0, 1].map(|index| Family::V4.listen(stage.slot.port(index)));
    let pids = serve(&stage, "serve 3", many);
    let _alone = serve(&stage, "listen", one);
    stage.play(move |kept| {
        for address in [many, many, one] {
            kept.push(connect(address));
        }
    });
    let at = |address: std::net::SocketAddr, extra: &[&str]| {
        let port = address.port().to_string();
        stage.look(&[&["-o", "json", "--by", "process", "-L", &port], extra].concat())
    };
    let shared = at(many, &[]);
    let counted = counts(&shared.of_type("sockets_group"));
    assert_eq!((counted.len(), counted["-"]), (5, 2), "{counted:?}");
    for pid in pids.pids() {
        let (_, count) =
            counted.iter().find(|(key, _)| key.ends_with(&format!("[{pid}]"))).expect("a holder");
        assert_eq!(*count, 1, "the listener: {counted:?}");
    }
    assert_eq!(shared.summary()["sockets"], 3, "each once");
    assert!(
        shared.stderr.contains("; 1 held by several processes and counted for each"),
        "{}",
        shared.stderr
    );
    let own = at(one, &[]);
    let counted = counts(&own.of_type("sockets_group"));
    assert_eq!(counted.into_values().collect::<Vec<_>>(), [2], "the listener, and what waits there");
    assert!(!own.stderr.contains("several processes"), "{}", own.stderr);
}

/// `actor WHAT ADDRESS` in the namespace.
fn serve(stage: &Stage, what: &str, address: std::net::SocketAddr) -> Actors {
    let program = helper(env!("CARGO_BIN_EXE_actor"));
    let mut command = stage.command(program);
    command.args(what.split(' ')).arg(address.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut actor = Running::spawn(&mut command);
    let line = actor::act(&mut actor);
    let children = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    Actors(actor, children)
}

/// A process that listens, and the ids of the processes that hold its listener.
struct Actors(Running, Vec<u32>);

impl Actors {
    fn pids(&self) -> Vec<u32> {
        std::iter::once(self.0.pid()).chain(self.1.iter().copied()).collect()
    }
}
