//! Sockets in every state, of both families.

use std::{
    collections::BTreeSet,
    net::{Ipv6Addr, SocketAddr},
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::Value;
use tcptrace_tests::{
    machine::{is_root, skip},
    net::{Family, accept, connect, listen, mptcp_socket, pair, read_end},
    wait::eventually,
};

use crate::{
    agreement::assert_agree,
    stage::{EVERY_STATE, Stage, every_state},
};

/// Compares both tools in a quiet moment. A timer that ends in between requires another attempt.
fn agree(stage: &Stage) -> Vec<Value> {
    let mut told = Vec::new();
    eventually("tcptrace and ss agree", || {
        let before = stage.ss();
        let run = stage.look(&["-o", "json"]);
        let after = stage.ss();
        told = run.sockets();
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let still = format!("{before:?}") == format!("{after:?}");
        if still {
            assert_agree(&told, &after);
        }
        still
    });
    told
}

fn has_every_state(stage: &Stage) -> bool {
    let lines = stage.ss();
    let states: BTreeSet<&str> = lines.iter().map(|line| line.state.as_str()).collect();
    EVERY_STATE.iter().all(|state| states.contains(state))
}

fn all_states(name: &str, listen_at: fn(u16) -> SocketAddr) {
    if !is_root(name) {
        return;
    }
    let stage = Stage::new();
    let first = stage.slot.port(0);
    stage.play(move |kept| every_state(kept, |index| listen_at(first + index)));
    eventually("every state is there", || has_every_state(&stage));
    let told = agree(&stage);

    let of = |state: &str, kind: &str| {
        let mut found = told.clone();
        found.retain(|socket| socket["state"] == state && socket["kind"] == kind);
        assert!(!found.is_empty(), "no {kind} socket in {state}");
        found
    };
    for state in EVERY_STATE {
        let kind = match state {
            "SYN_RECV" => "request",
            "TIME_WAIT" => "time_wait",
            _ => "full",
        };
        // Connections that wait to be accepted have none either.
        let held = of(state, kind).iter().any(|socket| !socket["inode"].is_null());
        assert_eq!(held, kind == "full", "{state}");
    }
    for socket in &told {
        assert_eq!(socket["netns"], stage.namespace.inode());
        assert_eq!(
            socket["uid"].is_null(),
            socket["inode"].is_null(),
            "what is nobody's is not root's: {socket}"
        );
    }
    of("FIN_WAIT2", "time_wait");
    let queue = told.iter().find(|socket| socket["state"] == "LISTEN" && socket["recv_queue"] == 2);
    assert_eq!(queue.expect("two wait to be accepted")["send_queue"], 7);
}

#[test]
fn all_states_of_ipv4() {
    all_states("all_states_of_ipv4", |port| Family::V4.listen(port));
}

#[test]
fn all_states_of_ipv6() {
    all_states("all_states_of_ipv6", |port| Family::V6.listen(port));
}

/// A server on `::` whose clients use IPv4: both are shown as IPv4.
#[test]
fn all_states_of_mapped_sockets() {
    all_states("all_states_of_mapped_sockets", |port| (Ipv6Addr::UNSPECIFIED, port).into());
}

/// Ages, where they are known, are right.
#[test]
fn ages() {
    if !is_root("ages") {
        return;
    }
    let stage = Stage::new();
    let first = stage.slot.port(0);
    let begun = Instant::now();
    stage.play(move |kept| every_state(kept, |index| Family::V4.listen(first + index)));
    let wait = Duration::from_secs(2);
    sleep(wait);
    let told = stage.look(&["-o", "json"]).sockets();
    let with_age = |state: &str| {
        let mut found = told.clone();
        found.retain(|socket| socket["state"] == state && !socket["age_at_least_us"].is_null());
        found
    };
    // In each state one is reported as older than the wait, and none as older than the test. A jiffy may be missing. A
    // socket whose segment was retransmitted meanwhile may be reported as younger.
    let least = wait.saturating_sub(Duration::from_millis(50));
    for state in ["ESTABLISHED", "CLOSE_WAIT", "FIN_WAIT2", "TIME_WAIT"] {
        let sockets = with_age(state);
        let age =
            |socket: &Value| Duration::from_micros(socket["age_at_least_us"].as_u64().expect("a number"));
        assert!(sockets.iter().any(|socket| age(socket) >= least), "{state}: {sockets:?}");
        for socket in &sockets {
            assert!(age(socket) <= begun.elapsed(), "{socket}");
        }
    }
    for state in ["LISTEN", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "LAST_ACK", "CLOSING"] {
        assert_eq!(with_age(state).len(), 0, "nothing tells the age in {state}");
    }
}

/// A bound socket, neither listening nor connected: CLOSE, which older versions of ss do not request.
#[test]
fn bound_sockets() {
    if !is_root("bound_sockets") {
        return;
    }
    let stage = Stage::new();
    let address = Family::V4.listen(stage.slot.port(0));
    stage.play(move |kept| {
        let socket = tcptrace_tests::net::socket(address);
        socket.bind(&address.into()).expect("bind");
        kept.push(socket);
    });
    let all = stage.look(&["-o", "json"]).sockets();
    if all.is_empty() {
        return skip("bound_sockets", "the kernel does not tell of bound sockets (Linux 6.8 does)");
    }
    let only = stage.look(&["-o", "json", "--state", "CLOSE"]).sockets();
    for [one] in [all, only].map(|sockets| <[Value; 1]>::try_from(sockets).expect("one socket")) {
        assert_eq!((&one["state"], &one["lport"]), (&"CLOSE".into(), &address.port().into()));
        assert!(one["info"].is_null() && !one["inode"].is_null(), "{one}");
    }
}

/// The bytes and segments of a connection.
#[test]
fn figures_of_a_connection() {
    if !is_root("figures_of_a_connection") {
        return;
    }
    let stage = Stage::new();
    let address = Family::V4.listen(stage.slot.port(0));
    stage.play(move |kept| {
        let listener = listen(address);
        let (client, server) = pair(&listener, address);
        client.send(&[7; 1_000]).expect("data");
        server.send(&[7; 300]).expect("data");
        kept.extend([listener, client, server]);
    });
    let run = || {
        let sockets =
            stage.look(&["-o", "json", "--state", "ESTABLISHED", "-D", &address.port().to_string()]);
        sockets.sockets().pop().expect("the client")
    };
    eventually("everything is acknowledged", || run()["info"]["unacked"] == 0);
    let info = run()["info"].clone();
    // The SYN counts as a byte.
    assert_eq!((&info["bytes_acked"], &info["bytes_received"]), (&1_001.into(), &300.into()));
    assert_eq!((&info["retransmits"], &info["notsent_bytes"]), (&0.into(), &0.into()));
    assert!(info["srtt_us"].as_u64().is_some_and(|us| us > 0 && us < 1_000_000), "{info}");
    assert!(info["snd_wnd"].as_u64().is_some_and(|bytes| bytes > 0), "{info}");
}

/// The output marks a subflow of MPTCP.
#[test]
fn mptcp_subflows() {
    if !is_root("mptcp_subflows") {
        return;
    }
    let stage = Stage::new();
    let address = Family::V4.listen(stage.slot.port(0));
    let plain = Family::V4.listen(stage.slot.port(1));
    let possible = stage.namespace.run(|| mptcp_socket().map(drop).map_err(|error| error.to_string()));
    if let Err(error) = possible {
        return skip("mptcp_subflows", &format!("no MPTCP: {error}"));
    }
    stage.play(move |kept| {
        let listener = mptcp_socket().expect("an MPTCP socket");
        listener.bind(&address.into()).expect("bind");
        listener.listen(16).expect("listen");
        let client = mptcp_socket().expect("an MPTCP socket");
        client.connect(&address.into()).expect("connect");
        let server = accept(&listener);
        kept.extend([listener, client, server, listen(plain)]);
    });
    for socket in stage.look(&["-o", "json"]).sockets() {
        let of_mptcp = [&socket["lport"], &socket["rport"]].contains(&&Value::from(address.port()));
        assert_eq!(socket["mptcp"], of_mptcp, "{socket}");
    }
}

/// TIME_WAIT ends after a minute, and FIN_WAIT2 after the namespace's time: age and remaining time add up to that.
#[test]
fn fin_timeout_of_the_namespace() {
    if !is_root("fin_timeout_of_the_namespace") {
        return;
    }
    let stage = Stage::new();
    let address = Family::V4.listen(stage.slot.port(0));
    stage.play(move |kept| {
        tcptrace_tests::netns::sysctl("net/ipv4/tcp_fin_timeout", "33");
        let listener = listen(address);
        let client = connect(address);
        let server = accept(&listener);
        drop(client);
        read_end(&server);
        kept.extend([listener, server]);
    });
    sleep(Duration::from_secs(1));
    let run = stage.look(&["-o", "json", "--state", "FIN_WAIT2"]);
    let [socket] = <[Value; 1]>::try_from(run.sockets()).expect("what is left of the client");
    let left = socket["timer"]["expires_ms"].as_u64().expect("a time");
    let age = socket["age_at_least_us"].as_u64().expect("an age") / 1_000;
    assert_eq!(left + age, 33_000, "{socket}");
    assert!(age >= 950, "{socket}");
}
