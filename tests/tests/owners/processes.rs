//! Processes that hold sockets, alone or together.

use std::{fs, net::SocketAddr, process::Command};

use tcptrace_tests::{
    host,
    machine::{is_root, public_copy, skip},
    net::{Family, accept, bound_to, connect, listen, mptcp_socket, read_end, wait_for_fin_wait2},
    netns::Namespace,
    slot::Slot,
};

use crate::{
    actor::{self, Actor},
    report::{Pids, Report, reports, ss},
    source::has_program,
};

/// Runs `body` in a new namespace, with the namespace's inode and an address to listen on.
fn in_namespace(name: &str, body: impl FnOnce(u32, SocketAddr) + Send + 'static) {
    if !is_root(name) {
        return;
    }
    let _host = host::share();
    let slot = Slot::take();
    let namespace = Namespace::new(&slot.ephemeral());
    let (netns, address) = (namespace.inode(), Family::V4.listen(slot.port(0)));
    namespace.run(move || body(netns, address));
}

/// Asserts that both sources and `ss` name exactly these processes.
fn assert_listens(netns: u32, address: SocketAddr, expected: &Pids) {
    for report in reports(netns) {
        assert_eq!(&report.pids(address, "LISTEN"), expected);
    }
    assert_eq!(&ss(address, "listening"), expected, "by ss");
}

#[test]
fn one_process() {
    in_namespace("one_process", |netns, address| {
        let (server, _) = Actor::acting(&["listen", &address.to_string()]);
        assert_listens(netns, address, &Pids::from([server.pid()]));
        let exe = fs::canonicalize(format!("/proc/{}/exe", server.pid())).expect("a program");
        assert!(exe.ends_with(actor::path().file_name().expect("a name")));
        for report in reports(netns) {
            let [owner] = report.owners(address, "LISTEN") else { panic!("one") };
            assert_eq!((&owner["comm"], &owner["uid"]), (&"actor".into(), &0.into()));
            assert_eq!(
                (&owner["exe"], &owner["exe_deleted"]),
                (&exe.to_string_lossy().into(), &false.into())
            );
        }
    });
}

#[test]
fn a_server_with_three_children() {
    in_namespace("a_server_with_three_children", |netns, address| {
        let (server, line) = Actor::acting(&["serve", "3", &address.to_string()]);
        let mut all: Pids = line.split(' ').map(|pid| pid.parse().expect("a process id")).collect();
        assert_eq!(all.len(), 3);
        all.insert(server.pid());
        assert_listens(netns, address, &all);
    });
}

/// The kernel keeps a socket open while it is passed on. Then no process holds it; afterwards the receiver does.
#[test]
fn given_to_another_process() {
    in_namespace("given_to_another_process", |netns, address| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let path = path.to_str().expect("text");
        let mut receiver = Actor::receiving(path);
        let (sender, sent) = Actor::acting(&["send", path, &address.to_string()]);
        assert_eq!(sent, address.to_string());
        assert_listens(netns, address, &Pids::new());
        assert_eq!(receiver.act(), sent);
        assert_listens(netns, address, &Pids::from([receiver.pid()]));
        sender.kill();
        assert_listens(netns, address, &Pids::from([receiver.pid()]));
    });
}

#[test]
fn a_process_that_was_killed() {
    in_namespace("a_process_that_was_killed", |netns, address| {
        let listener = listen(address);
        let (client, local) = Actor::acting(&["connect", &address.to_string()]);
        let local: SocketAddr = local.parse().expect("an address");
        let server = accept(&listener);
        for report in reports(netns) {
            assert_eq!(report.pids(local, "ESTABLISHED"), Pids::from([client.pid()]));
        }
        client.kill();
        read_end(&server);
        wait_for_fin_wait2(local.port());
        for report in reports(netns) {
            assert!(report.owners(local, "FIN_WAIT2").is_empty());
        }
    });
}

/// The threads of tests have separate tables of descriptors, which `ss` does not see.
#[test]
fn a_thread_with_a_table_of_its_own() {
    in_namespace("a_thread_with_a_table_of_its_own", |netns, address| {
        let listener = listen(address);
        let client = connect(address);
        let local = bound_to(&client);
        let own = Pids::from([std::process::id()]);
        for report in reports(netns) {
            assert_eq!(report.pids(address, "LISTEN"), own);
            assert_eq!(report.pids(local, "ESTABLISHED"), own);
        }
        drop(listener);
    });
}

/// The program has a socket of MPTCP; the dump shows its subflows.
#[test]
fn a_multipath_connection() {
    const NAME: &str = "a_multipath_connection";
    if let Err(error) = mptcp_socket() {
        return skip(NAME, &format!("no MPTCP: {error}"));
    }
    in_namespace(NAME, |netns, address| {
        let (listener, client) = (mptcp_socket().expect("MPTCP"), mptcp_socket().expect("MPTCP"));
        listener.bind(&address.into()).expect("bind");
        listener.listen(1).expect("listen");
        client.connect(&address.into()).expect("connect");
        let server = accept(&listener);
        let local = bound_to(&client);
        let own = Pids::from([std::process::id()]);
        for report in reports(netns) {
            assert_eq!(report.pids(address, "LISTEN"), own);
            assert_eq!(report.pids(address, "ESTABLISHED"), own, "the accepted one");
            assert_eq!(report.pids(local, "ESTABLISHED"), own);
        }
        drop(server);
    });
}

/// `nobody` with the two capabilities for tracing: the kernel's program names processes of other users, which `/proc`
/// does not show.
#[test]
fn another_users_process_by_two_capabilities() {
    const NAME: &str = "another_users_process_by_two_capabilities";
    if !is_root(NAME) || !has_program(NAME) {
        return;
    }
    in_namespace(NAME, |_, address| {
        let (server, _) = Actor::acting(&["listen", &address.to_string()]);
        let folder = tempfile::tempdir().expect("a folder");
        let program = public_copy(folder.path());
        let as_nobody = |capabilities: &str| {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
            for set in ["inh-caps", "ambient-caps", "bounding-set"] {
                command.arg(format!("--{set}=-all{capabilities}"));
            }
            command.arg(&program).arg("sockets");
            Report::of(&mut command).owners(address, "LISTEN").to_vec()
        };
        assert!(as_nobody("").is_empty(), "by /proc");
        let [owner] = &as_nobody(",+bpf,+perfmon")[..] else { panic!("one owner") };
        assert_eq!((&owner["pid"], &owner["comm"]), (&server.pid().into(), &"actor".into()));
        assert!(owner["exe"].is_null(), "the path of its program may not be read: {owner}");
    });
}
