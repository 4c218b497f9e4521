//! Connections that make no progress, or seem to.

use std::{io::Read as _, net::Shutdown, thread::sleep, time::Duration};

use socket2::Socket;
use tcptrace_tests::netns::sysctl;

use crate::{
    closing::{MANY, pairs},
    lab::{Lab, assert_owned_here, evidence},
};

/// The clients have closed their halves, and the server goes on sending.
#[test]
fn a_half_close_that_streams() {
    let Some(lab) = Lab::new("a_half_close_that_streams") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(5, &[], move || {
        let (pairs, listener) = pairs(ports, MANY);
        for (client, _) in &pairs {
            client.shutdown(Shutdown::Write).expect("shutdown");
        }
        for _ in 0..25 {
            for (mut client, server) in pairs.iter().map(|(client, server)| (client, server)) {
                server.send(b"more").expect("send");
                client.read_exact(&mut [0; 4]).expect("read");
            }
            sleep(Duration::from_millis(200));
        }
        (pairs, listener)
    });
    diagnosis.assert_healthy();
}

/// The other ends on this host wait for the leaking program: one finding, which contains theirs.
#[test]
fn a_leak_and_who_waits_for_it() {
    let Some(lab) = Lab::new("a_leak_and_who_waits_for_it") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(5, &[], move || {
        sysctl("net/ipv4/tcp_fin_timeout", "1");
        let (pairs, listener) = pairs(ports, MANY);
        for (client, _) in &pairs {
            client.shutdown(Shutdown::Write).expect("shutdown");
        }
        (pairs, listener)
    });
    let finding = diagnosis.one("close-wait-leak");
    assert_eq!(finding["consequences"][0]["id"], "fin-wait2-stuck", "{finding:#}");
    assert!(diagnosis.all("fin-wait2-stuck").is_empty(), "{:#}", diagnosis.json);
}

/// Sends on a connection until its buffers are full.
fn fill(sender: &Socket) {
    sender.set_nonblocking(true).expect("O_NONBLOCK");
    while sender.send(&[0; 16_384]).is_ok() {}
}

#[test]
fn a_program_that_does_not_read() {
    let Some(lab) = Lab::new("a_program_that_does_not_read") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(7, &[], move || {
        let (pairs, listener) = pairs(ports, MANY);
        for (client, _) in &pairs {
            fill(client);
        }
        (pairs, listener)
    });
    let finding = diagnosis.one("stalled");
    assert_eq!(evidence(finding, "connections"), MANY as u64, "{finding:#}");
    assert_eq!(evidence(finding, "with a closed window"), MANY as u64, "{finding:#}");
    assert_eq!(finding["harm"]["count"], MANY, "{finding:#}");
    assert_owned_here(finding);
}

/// The program reads little at a time, so its window opens late.
#[test]
fn a_program_that_reads_slowly() {
    let Some(lab) = Lab::new("a_program_that_reads_slowly") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(7, &[], move || {
        let (pairs, listener) = pairs(ports, MANY);
        for (client, _) in &pairs {
            fill(client);
        }
        for _ in 0..30 {
            for mut server in pairs.iter().map(|(_, server)| server) {
                server.read_exact(&mut [0; 100]).expect("read");
            }
            sleep(Duration::from_millis(200));
        }
        (pairs, listener)
    });
    diagnosis.assert_healthy();
}
