//! Listeners that are too slow, cannot listen, or should not exist.

use std::{collections::VecDeque, fs, time::Duration};

use nix::errno::Errno;
use socket2::Socket;
use tcptrace_tests::{
    actor,
    fixture::Ports,
    machine::helper,
    net::{Family, accept, begin_connect, connect, listen, pair, read_end, socket, wait_for_child},
    netns::sysctl,
    process::tool,
    steps, syn,
};

use crate::lab::{Lab, assert_owned_here, evidence};

#[test]
fn a_program_that_does_not_accept() {
    let Some(lab) = Lab::new("a_program_that_does_not_accept") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(5, &["--only", "accept-queue-overflow"], move || {
        let listener = listen(ports.listen(Family::V4));
        listener.listen(2).expect("listen");
        let address = ports.connect(Family::V4);
        // The queue takes one more connection than its limit.
        let served: Vec<_> = (0..3).map(|_| connect(address)).collect();
        wait_for_child(&listener);
        let waiting: Vec<_> = (0..4)
            .map(|_| {
                let client = socket(address);
                begin_connect(&client, address);
                client
            })
            .collect();
        (served, waiting, listener)
    });
    let finding = diagnosis.one("accept-queue-overflow");
    assert_eq!(evidence(finding, "queue at its longest"), 3, "{finding:#}");
    assert_eq!(evidence(finding, "backlog of listen()"), 2);
    assert!(evidence(finding, "ListenOverflows of the namespace, grown by") >= 4, "{finding:#}");
    assert_owned_here(finding);
}

/// Clients that are connected and have sent requests, in a queue with free capacity.
#[test]
fn a_program_that_accepts_nobody() {
    const CLIENTS: usize = 4;
    let Some(lab) = Lab::new("a_program_that_accepts_nobody") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(6, &[], move || {
        let listener = listen(ports.listen(Family::V4));
        let clients: Vec<_> = (0..CLIENTS).map(|_| connect(ports.connect(Family::V4))).collect();
        for client in &clients {
            assert_eq!(client.send(b"GET /").expect("send"), 5);
        }
        (listener, clients)
    });
    let finding = diagnosis.one("nobody-accepts");
    assert_eq!(evidence(finding, "wait to be accepted"), CLIENTS as u64, "{finding:#}");
    assert_eq!(evidence(finding, "data that they have sent, unread"), 5 * CLIENTS as u64, "{finding:#}");
    assert_eq!(finding["harm"]["count"], CLIENTS, "{finding:#}");
    assert_owned_here(finding);
}

/// The queue is never empty during the whole watch, but no client waits for long.
#[test]
fn a_queue_that_turns_over() {
    let Some(lab) = Lab::new("a_queue_that_turns_over") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(6, &[], move || {
        let listener = listen(ports.listen(Family::V4));
        let mut waiting: VecDeque<_> = (0..3).map(|_| connect(ports.connect(Family::V4))).collect();
        for _ in 0..14 {
            std::thread::sleep(Duration::from_millis(400));
            waiting.push_back(connect(ports.connect(Family::V4)));
            let served = accept(&listener);
            drop(waiting.pop_front());
            read_end(&served);
        }
        // At the end no client waits.
        for _ in &waiting {
            drop(accept(&listener));
        }
        listener
    });
    diagnosis.assert_healthy();
}

/// The queue overflows between two scans. All clients are served by the next scan.
#[test]
fn an_overflow_between_two_scans() {
    let Some(lab) = Lab::new("an_overflow_between_two_scans") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(15, &["--only", "accept-queue-overflow"], move || {
        let listener = listen(ports.listen(Family::V4));
        listener.listen(2).expect("listen");
        // The first scans see an empty queue; later scans of this watch are three seconds apart.
        std::thread::sleep(Duration::from_millis(3_700));
        let address = ports.connect(Family::V4);
        let begin = || {
            let client = socket(address);
            begin_connect(&client, address);
            client
        };
        let clients: Vec<_> = (0..20).map(|_| begin()).collect();
        // Retransmitted SYNs find a longer queue.
        listener.listen(64).expect("listen");
        let accepted: Vec<_> = (0..20).map(|_| accept(&listener)).collect();
        (listener, clients, accepted)
    });
    let finding = diagnosis.one("accept-queue-overflow");
    assert!(evidence(finding, "dropped at this listener") >= 10, "{finding:#}");
    assert_owned_here(finding);
}

/// One of several sockets at one address is not served.
#[test]
fn one_of_several_sockets_overflows() {
    let Some(lab) = Lab::new("one_of_several_sockets_overflows") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(5, &["--only", "accept-queue-overflow"], move || {
        let address = ports.listen(Family::V4);
        let group = || {
            let listener = socket(address);
            listener.set_reuse_port(true).expect("SO_REUSEPORT");
            listener.bind(&address.into()).expect("bind");
            listener.listen(2).expect("listen");
            listener.set_nonblocking(true).expect("O_NONBLOCK");
            listener
        };
        let group: Vec<_> = (0..3).map(|_| group()).collect();
        let mut clients = Vec::new();
        for _ in 0..36 {
            let client = socket(ports.connect(Family::V4));
            begin_connect(&client, ports.connect(Family::V4));
            clients.push(client);
            std::thread::sleep(Duration::from_millis(20));
            // The last socket is not served.
            group[..2].iter().for_each(|listener| while listener.accept().is_ok() {});
        }
        (group, clients)
    });
    let finding = diagnosis.one("accept-queue-overflow");
    let summary = finding["summary"].as_str().expect("text");
    assert!(summary.contains("(one of 3 sockets there)"), "{summary}");
}

/// A slow program that is still faster than its clients.
#[test]
fn a_slow_program_that_accepts() {
    let Some(lab) = Lab::new("a_slow_program_that_accepts") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(5, &[], move || {
        let listener = listen(ports.listen(Family::V4));
        for _ in 0..10 {
            let client = connect(ports.connect(Family::V4));
            std::thread::sleep(Duration::from_millis(100));
            let (server, _) = listener.accept().expect("accept");
            drop(client);
            read_end(&server);
        }
        listener
    });
    diagnosis.assert_healthy();
}

/// A listener with capacity for `room` half-open connections, and a few hundred SYNs from documentation addresses.
fn flood(ports: Ports, room: i32) -> Socket {
    tool("ip", ["route", "add", "203.0.113.0/24", "dev", "lo"]);
    sysctl("net/ipv4/tcp_syncookies", "0");
    sysctl("net/ipv4/tcp_max_syn_backlog", "2000");
    let listener = listen(ports.listen(Family::V4));
    listener.listen(room).expect("listen");
    syn::flood(ports.connect(Family::V4), SYNS);
    listener
}

const SYNS: u16 = 300;

#[test]
fn a_flood() {
    let Some(lab) = Lab::new("a_flood") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(5, &[], move || flood(ports, 200));
    let finding = diagnosis.one("syn-flood");
    // The queue takes one more connection than its limit.
    assert_eq!(evidence(finding, "half-open at once"), 201, "{finding:#}");
    assert_eq!(evidence(finding, "completed"), 0);
    assert!(evidence(finding, "SYN-ACKs sent again") >= 201, "{finding:#}");
    assert_eq!((&finding["severity"], &finding["harm"]["count"]), (&"critical".into(), &99.into()));
    assert_owned_here(finding);
    assert!(diagnosis.all("accept-queue-overflow").is_empty(), "{:#}", diagnosis.json);
}

/// As many SYNs, with capacity for all: none is dropped.
#[test]
fn a_flood_with_room() {
    let Some(lab) = Lab::new("a_flood_with_room") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(5, &[], move || flood(ports, 1_000));
    diagnosis.assert_healthy();
    let [finding] = diagnosis.all("syn-flood")[..] else { panic!("one: {:#}", diagnosis.json) };
    assert_eq!(evidence(finding, "half-open at once"), u64::from(SYNS), "{finding:#}");
    assert_eq!(evidence(finding, "without an answer"), u64::from(SYNS), "{finding:#}");
}

/// Another process begins to listen between `bind()` and `listen()`.
#[test]
fn a_port_that_is_taken() {
    let Some(lab) = Lab::new("a_port_that_is_taken") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(3, &[], move || {
        let address = ports.listen(Family::V4);
        let late = socket(address);
        late.bind(&address.into()).expect("bind");
        let (actor, _) = actor::start_program(&helper(env!("CARGO_BIN_EXE_actor")), "listen", address);
        let error = late.listen(16).expect_err("somebody listens there");
        assert_eq!(error.raw_os_error(), Some(Errno::EADDRINUSE as i32));
        (late, actor)
    });
    let finding = diagnosis.one("address-in-use");
    assert_eq!(evidence(finding, "failed listen()"), 1);
    assert_eq!(finding["owners"][1]["comm"], "actor", "behind who fails, who has it: {finding:#}");
    assert_owned_here(finding);
}

/// The program listens on the port already: its clients are served.
#[test]
fn a_program_that_listens_twice() {
    let Some(lab) = Lab::new("a_program_that_listens_twice") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(3, &[], move || steps::listen_twice(ports));
    diagnosis.assert_healthy();
    assert_eq!(diagnosis.all("address-in-use").len(), 1, "worth knowing: {:#}", diagnosis.json);
}

#[test]
fn a_listener_that_nobody_expects() {
    let Some(lab) = Lab::new("a_listener_that_nobody_expects") else { return };
    let (ports, expected) = (lab.slot.ports_to_bind(), format!("{},sshd:22", lab.slot.port(0)));
    let diagnosis = lab.watch(3, &["--expect-listen", &expected], move || {
        [0, 1].map(|index| listen(([192, 0, 2, 1], ports.port(index)).into()))
    });
    let finding = diagnosis.one("unexpected-listener");
    let summary = finding["summary"].as_str().expect("text");
    assert!(summary.contains(&format!("192.0.2.1:{}", lab.slot.port(1))), "{summary}");
    assert_owned_here(finding);
}

/// The file of a running program is removed: either the program is hidden, or it was updated.
#[test]
fn a_listener_whose_program_is_gone() {
    let Some(lab) = Lab::new("a_listener_whose_program_is_gone") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("hidden");
    fs::copy(helper(env!("CARGO_BIN_EXE_actor")), &program).expect("a copy");
    let address = Family::V4.listen(lab.slot.port(0));
    let diagnosis = lab.watch(3, &[], move || {
        let (actor, _) = actor::start_program(&program, "listen", address);
        fs::remove_file(&program).expect("it was there");
        actor
    });
    diagnosis.assert_healthy();
    let [finding] = diagnosis.all("unexpected-listener")[..] else { panic!("one: {:#}", diagnosis.json) };
    let owner = &finding["owners"][0];
    assert_eq!((&owner["comm"], &owner["exe_deleted"]), (&"hidden".into(), &true.into()), "{finding:#}");
}

/// Only the expected listener, in use.
#[test]
fn only_expected_listeners() {
    let Some(lab) = Lab::new("only_expected_listeners") else { return };
    let (ports, expected) = (lab.slot.ports_to_bind(), lab.slot.port(0).to_string());
    let diagnosis = lab.watch(3, &["--expect-listen", &expected], move || {
        let listener = listen(ports.listen(Family::V4));
        let (client, server) = pair(&listener, ports.connect(Family::V4));
        drop(client);
        read_end(&server);
        drop(server);
        listener
    });
    diagnosis.assert_healthy();
}
