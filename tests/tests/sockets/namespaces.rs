//! Several network namespaces at once, and the ways to name one.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::Value;
use tcptrace_tests::{
    machine::is_root,
    net::{Family, listen},
    process::{Running, tool},
};

use crate::{run::SocketsRun, stage::Stage};

/// Starts a process in the namespace: scans do not find namespaces that only threads are in.
fn inhabitant(stage: &Stage) -> Running {
    let process = Running::spawn(stage.command("sleep").arg("60").stdout(Stdio::null()));
    let namespace = format!("/proc/{}/ns/net", process.pid());
    let inode = || fs::metadata(&namespace).map(|file| file.ino()).ok();
    // The process enters the namespace after its start.
    let deadline = Instant::now() + Duration::from_secs(10);
    while inode() != Some(stage.namespace.inode().into()) {
        assert!(Instant::now() < deadline, "it does not get there");
        sleep(Duration::from_millis(5));
    }
    process
}

fn listener_at(stage: &Stage, index: u16) -> u16 {
    let address = Family::V4.listen(stage.slot.port(index));
    stage.play(move |kept| kept.push(listen(address)));
    address.port()
}

fn netns_of(run: &SocketsRun, port: u16) -> Vec<Value> {
    let found = run.sockets().into_iter().filter(|socket| socket["lport"] == port);
    found.map(|socket| socket["netns"].clone()).collect()
}

#[test]
fn all_of_them_at_once() {
    if !is_root("all_of_them_at_once") {
        return;
    }
    let stages = [Stage::new(), Stage::new()];
    let _inhabitants = [inhabitant(&stages[0]), inhabitant(&stages[1])];
    // The same address and port in both namespaces.
    let port = listener_at(&stages[0], 0);
    let same = Family::V4.listen(port);
    stages[1].play(move |kept| kept.push(listen(same)));
    let run = SocketsRun::at(&["-o", "json"]);
    let mut found: Vec<_> = netns_of(&run, port).iter().filter_map(Value::as_u64).collect();
    found.sort_unstable();
    let mut expected: Vec<_> = stages.iter().map(|stage| u64::from(stage.namespace.inode())).collect();
    expected.sort_unstable();
    assert_eq!(found, expected, "{}", run.stderr);
    let read = run.summary()["namespaces"].as_array().expect("a list").clone();
    for inode in expected {
        let times = read.iter().filter(|one| one["netns"] == inode).collect::<Vec<_>>();
        assert_eq!(times.len(), 1, "each is read once");
        let (begin, end) = (times[0]["begin_ktime_ns"].as_u64(), times[0]["end_ktime_ns"].as_u64());
        assert!(begin < end && begin.is_some());
    }
}

#[test]
fn one_by_its_inode_number_its_path_or_its_name() {
    if !is_root("one_by_its_inode_number_its_path_or_its_name") {
        return;
    }
    let stage = Stage::new();
    let port = listener_at(&stage, 0);
    let inode = stage.namespace.inode();
    let _inhabitant = inhabitant(&stage);
    let name = format!("tcptrace-test-{}", stage.slot.number());
    tool("ip", ["netns", "attach", &name, &thread_of(&stage)]);
    let deleted = Deleted(name.clone());
    for netns in [inode.to_string(), stage.namespace.path().to_owned(), name] {
        let run = SocketsRun::at(&["-o", "json", "--netns", &netns]);
        assert_eq!(run.code, Some(0), "{netns}: {}", run.stderr);
        assert_eq!(netns_of(&run, port), [Value::from(inode)], "{netns}");
        assert_eq!(run.summary()["namespaces"].as_array().map(Vec::len), Some(1), "{netns}");
    }
    drop(deleted);
    let run = SocketsRun::at(&["--netns", "4026999999"]);
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("4026999999"), "{}", run.stderr);
    let run = SocketsRun::at(&["--netns", "no-such-name"]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
}

/// The id of the thread that holds the namespace, which `ip netns attach` accepts as a process id.
fn thread_of(stage: &Stage) -> String {
    stage.namespace.path().split('/').nth(4).expect("/proc/PID/task/TID/ns/net").to_owned()
}

/// A namespace that only a mount keeps alive.
#[test]
fn one_without_a_process() {
    if !is_root("one_without_a_process") {
        return;
    }
    let stage = Stage::new();
    let name = format!("tcptrace-test-{}", stage.slot.number());
    tool("ip", ["netns", "add", &name]);
    let _deleted = Deleted(name.clone());
    let run = SocketsRun::at(&["-o", "json"]);
    let inode = Value::from(fs::metadata(format!("/run/netns/{name}")).expect("its file").ino());
    let read = run.summary()["namespaces"].as_array().expect("a list").clone();
    assert!(read.iter().any(|one| one["netns"] == inode), "{inode} is not among {read:?}");
}

/// A name of `ip netns`, removed by the drop.
struct Deleted(String);

impl Drop for Deleted {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "delete", &self.0]).status();
    }
}
