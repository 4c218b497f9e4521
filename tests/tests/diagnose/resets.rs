//! Connections that end by a reset, with and without a loss.

use std::{io::Read as _, thread::sleep, time::Duration};

use socket2::Socket;
use tcptrace_tests::{
    net::{
        Family, abort, accept, begin_connect, connect, deafen, hear, listen, pair, peek, read_error, socket,
    },
    netns::sysctl,
    steps,
};

use crate::lab::{Lab, assert_owned_here, evidence};

const REQUEST: &[u8] = b"GET / HTTP/1.0\r\n\r\n";

/// Waits until the request has arrived, and leaves it unread.
fn asked(client: &Socket, server: &Socket) {
    client.send(REQUEST).expect("send");
    peek(server);
}

/// A server that discards its clients' requests.
#[test]
fn a_server_that_resets() {
    let Some(lab) = Lab::new("a_server_that_resets") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(4, &[], move || {
        let listener = listen(ports.listen(Family::V4));
        for _ in 0..25 {
            let (client, server) = pair(&listener, ports.connect(Family::V4));
            asked(&client, &server);
            abort(server);
            drop(client);
        }
        listener
    });
    let finding = diagnosis.one("reset-storm");
    // Each connection has two ends on this host, one that resets and one that is reset, and counts once.
    assert_eq!(evidence(finding, "by a reset"), 25, "{finding:#}");
    assert_eq!(evidence(finding, "of these sent by this host"), 25, "{finding:#}");
    assert_eq!(evidence(finding, "with data that was not sent, acknowledged or read"), 25, "{finding:#}");
    assert_owned_here(finding);
}

/// Many clients that do not wait for their response. Filters hide the clients' ends, which are on this host.
#[test]
fn clients_that_reset() {
    let Some(lab) = Lab::new("clients_that_reset") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(4, &["-L", &lab.slot.port(0).to_string()], move || {
        let listener = listen(ports.listen(Family::V4));
        // The wait lets a scan read the addresses first.
        sleep(Duration::from_secs(1));
        for _ in 0..25 {
            let (client, server) = pair(&listener, ports.connect(Family::V4));
            asked(&client, &server);
            abort(client);
            let mut request = [0; REQUEST.len()];
            (&server).read_exact(&mut request).expect("what was asked can still be read");
            read_error(&server);
        }
        listener
    });
    let finding = diagnosis.one("reset-storm");
    assert_eq!(evidence(finding, "by a reset"), 25, "{finding:#}");
    assert_eq!(evidence(finding, "with a request that had no answer"), 25, "{finding:#}");
    assert_eq!(finding["peers"][0]["address"], "192.0.2.1", "{finding:#}");
}

/// Checks that a port is open, and checks that have their response: each ends by a reset, by design.
#[test]
fn health_checks_by_reset() {
    let Some(lab) = Lab::new("health_checks_by_reset") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(4, &[], move || {
        let listener = listen(ports.listen(Family::V4));
        for number in 0..50 {
            let (client, server) = pair(&listener, ports.connect(Family::V4));
            if number % 2 == 0 {
                steps::exchange(&client, &server);
            }
            abort(client);
            read_error(&server);
        }
        listener
    });
    diagnosis.assert_healthy();
    let [finding] = diagnosis.all("reset-storm")[..] else { panic!("told of: {:#}", diagnosis.json) };
    assert_eq!(evidence(finding, "without a loss"), 50, "{finding:#}");
}

/// A proxy that gives up and closes, while its upstream on the same host still replies.
#[test]
fn a_proxy_that_gives_up() {
    let Some(lab) = Lab::new("a_proxy_that_gives_up") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(4, &[], move || {
        let listener = listen(ports.listen(Family::V4));
        for _ in 0..25 {
            let (proxy, mut upstream) = pair(&listener, ports.connect(Family::V4));
            asked(&proxy, &upstream);
            drop(proxy);
            let mut request = Vec::new();
            upstream.read_to_end(&mut request).expect("what was asked, and the end");
            upstream.send(b"too late").expect("send");
        }
        listener
    });
    let finding = diagnosis.one("reset-storm");
    let summary = finding["summary"].as_str().expect("text");
    assert!(summary.contains("by this host") && summary.ends_with("had closed first"), "{summary}");
    assert_eq!(evidence(finding, "of these sent by this host"), 25, "{finding:#}");
    assert_eq!(evidence(finding, "with a request that had no answer"), 25, "{finding:#}");
    assert_owned_here(finding);
}

/// With `tcp_abort_on_overflow` the kernel resets clients for which a full queue has no capacity; the server does not
/// learn of them. The queue is full when the ACK of the retransmitted SYN-ACK arrives.
#[test]
fn clients_that_a_full_queue_resets() {
    let Some(lab) = Lab::new("clients_that_a_full_queue_resets") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(6, &["--only", "reset-storm"], move || {
        sysctl("net/ipv4/tcp_abort_on_overflow", "1");
        let (listener, address) = (listen(ports.listen(Family::V4)), ports.connect(Family::V4));
        let clients: Vec<_> = (0..25)
            .map(|_| {
                let client = socket(address);
                deafen(&client);
                begin_connect(&client, address);
                client
            })
            .collect();
        listener.listen(0).expect("listen");
        let served = connect(address);
        clients.iter().for_each(hear);
        (listener, served, clients)
    });
    let finding = diagnosis.one("reset-storm");
    let summary = finding["summary"].as_str().expect("text");
    assert!(summary.contains("by this host: the accept queue of"), "{summary}");
    assert_eq!(evidence(finding, "of clients that nobody had accepted"), 25, "{finding:#}");
    assert_owned_here(finding);
}

/// One client in a hurry among many.
#[test]
fn one_reset() {
    let Some(lab) = Lab::new("one_reset") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(4, &[], move || {
        steps::linger_zero(ports, Family::V4);
        let listener = listen(ports.listen(Family::V4));
        for _ in 0..25 {
            let client = connect(ports.connect(Family::V4));
            drop((accept(&listener), client));
        }
        listener
    });
    diagnosis.assert_healthy();
}
