//! Connections that do not end, or end badly.

use std::{net::Shutdown, thread::sleep, time::Duration};

use socket2::Socket;
use tcptrace_tests::{
    fixture::Ports,
    net::{Family, deafen, hear, listen, pair, read_end},
    netns::sysctl,
};

use crate::lab::{Lab, assert_owned_here, evidence};

pub(crate) const MANY: usize = 8;

/// Connections to a listener: client, server, and the listener behind them.
pub(crate) fn pairs(ports: Ports, count: usize) -> (Vec<(Socket, Socket)>, Socket) {
    let listener = listen(ports.listen(Family::V4));
    let pairs = (0..count).map(|_| pair(&listener, ports.connect(Family::V4))).collect();
    (pairs, listener)
}

#[test]
fn a_program_that_does_not_close() {
    let Some(lab) = Lab::new("a_program_that_does_not_close") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(5, &[], move || {
        let (pairs, listener) = pairs(ports, MANY);
        // The clients close; the servers stay open.
        let servers: Vec<Socket> =
            pairs.into_iter().map(|(client, server)| (drop(client), server).1).collect();
        (servers, listener)
    });
    let finding = diagnosis.one("close-wait-leak");
    assert_owned_here(finding);
    assert_eq!(evidence(finding, "in CLOSE_WAIT"), MANY as u64, "{finding:#}");
    assert_eq!(evidence(finding, "at the first scan"), 0);
    assert_eq!(finding["peers"][0]["address"], "192.0.2.1");
}

/// The same load, by a program that closes.
#[test]
fn a_program_that_closes() {
    let Some(lab) = Lab::new("a_program_that_closes") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(5, &[], move || {
        let listener = listen(ports.listen(Family::V4));
        for _ in 0..MANY {
            let (client, server) = pair(&listener, ports.connect(Family::V4));
            drop(client);
            read_end(&server);
            sleep(Duration::from_millis(100));
            drop(server);
        }
        listener
    });
    diagnosis.assert_healthy();
}

#[test]
fn a_peer_that_does_not_acknowledge() {
    let Some(lab) = Lab::new("a_peer_that_does_not_acknowledge") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(5, &[], move || {
        let (pairs, listener) = pairs(ports, MANY);
        for (client, server) in &pairs {
            deafen(server);
            client.shutdown(Shutdown::Write).expect("shutdown");
        }
        (pairs, listener)
    });
    let finding = diagnosis.one("fin-wait1-stuck");
    assert_eq!(evidence(finding, "stuck"), MANY as u64, "{finding:#}");
    assert_eq!(evidence(finding, "sent again without an answer"), MANY as u64, "{finding:#}");
    assert_eq!(finding["confidence"]["level"], "high");
    assert_owned_here(finding);
}

/// The client has closed its half and keeps the socket; its peer does not close.
#[test]
fn a_peer_that_does_not_close() {
    let Some(lab) = Lab::new("a_peer_that_does_not_close") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(5, &["--only", "fin-wait2-stuck"], move || {
        sysctl("net/ipv4/tcp_fin_timeout", "2");
        let (pairs, listener) = pairs(ports, MANY);
        for (client, server) in &pairs {
            client.shutdown(Shutdown::Write).expect("shutdown");
            read_end(server);
        }
        (pairs, listener)
    });
    let finding = diagnosis.one("fin-wait2-stuck");
    assert_eq!(evidence(finding, "stuck"), MANY as u64, "{finding:#}");
    assert_owned_here(finding);
}

/// A half-closed connection that is still in use, for less than `tcp_fin_timeout`.
#[test]
fn half_closed_and_in_use() {
    let Some(lab) = Lab::new("half_closed_and_in_use") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(4, &["--skip", "close-wait-leak"], move || {
        let (pairs, listener) = pairs(ports, MANY);
        for (client, server) in &pairs {
            client.shutdown(Shutdown::Write).expect("shutdown");
            read_end(server);
            server.send(b"still here").expect("send");
        }
        (pairs, listener)
    });
    diagnosis.assert_healthy();
}

#[test]
fn a_last_acknowledgement_that_does_not_come() {
    let Some(lab) = Lab::new("a_last_acknowledgement_that_does_not_come") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(5, &["--only", "last-ack-stuck"], move || {
        let (pairs, listener) = pairs(ports, MANY);
        let clients: Vec<Socket> = pairs
            .into_iter()
            .map(|(client, server)| {
                client.shutdown(Shutdown::Write).expect("shutdown");
                read_end(&server);
                deafen(&client);
                drop(server);
                client
            })
            .collect();
        (clients, listener)
    });
    let finding = diagnosis.one("last-ack-stuck");
    assert_eq!(evidence(finding, "stuck"), MANY as u64, "{finding:#}");
}

#[test]
fn both_close_at_once_and_one_hears_nothing() {
    let Some(lab) = Lab::new("both_close_at_once_and_one_hears_nothing") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(6, &["--only", "closing-pileup"], move || {
        let (pairs, listener) = pairs(ports, MANY);
        for (client, server) in &pairs {
            deafen(client);
            deafen(server);
            client.shutdown(Shutdown::Write).expect("shutdown");
            server.shutdown(Shutdown::Write).expect("shutdown");
            hear(server);
        }
        (pairs, listener)
    });
    let finding = diagnosis.one("closing-pileup");
    assert_eq!(evidence(finding, "stuck"), MANY as u64, "{finding:#}");
}
