//! Connections that do not end, or end badly.

use std::{
    io::Read as _,
    net::{Shutdown, TcpListener, TcpStream},
};

use super::{
    Situation, fault, fault_at, here,
    options::{deafen, hear, vanish},
    there,
    tools::{
        answer_all, any, ask, connect_many, forever, listen, local, pause, peer, read_to_end, ready, remote,
        request, server,
    },
};
use crate::{netns::sysctl, process::tool};

pub(super) const ALL: &[Situation] = &[
    fault(
        "server_that_does_not_close",
        "close-wait-leak",
        "server",
        &[here("server", leaks), there("client", comes_and_goes)],
    )
    .after("close-wait-leak", "age_s"),
    fault(
        "leak_here_and_fin_wait2_at_its_clients",
        "close-wait-leak",
        "server",
        &[here("server", leaks), here("client", half_closes)],
    )
    .after("close-wait-leak", "age_s"),
    fault_at(
        "FIN_WAIT1",
        "peer_that_does_not_acknowledge_the_fin",
        "fin-wait1-stuck",
        "client",
        &[here("client", closes_to_the_deaf), there("server", is_deaf)],
    )
    .after("stuck", "age_s"),
    fault_at(
        "FIN_WAIT2",
        "peer_that_is_gone_before_it_closes",
        "fin-wait2-stuck",
        "client",
        &[here("client", waits_for_the_end), there("server", vanishes)],
    )
    .after("stuck", "fin_wait2_s"),
    fault_at(
        "LAST_ACK",
        "last_acknowledgement_that_does_not_come",
        "last-ack-stuck",
        "server",
        &[here("server", closes_last), there("client", closes_and_vanishes)],
    )
    .after("stuck", "age_s"),
    fault_at(
        "CLOSING",
        "peer_that_is_gone_after_both_closed",
        "closing-pileup",
        "server",
        &[here("server", closes_unheard), there("client", closes_unheard_and_vanishes)],
    )
    .after("stuck", "age_s"),
];

const MANY: usize = 8;

fn accept_many(listener: &TcpListener, count: usize) -> Vec<TcpStream> {
    (0..count).map(|_| listener.accept().expect("accept").0).collect()
}

/// Reads to the end, and keeps the connection.
fn leaks() {
    server(|mut stream| {
        answer_all(stream.try_clone().expect("a copy"));
        read_to_end(&mut stream);
        forever();
    });
}

fn comes_and_goes() {
    ready();
    pause(2_000);
    for _ in 0..30 {
        super::tools::ask_once(remote());
        pause(500);
    }
    forever();
}

fn half_closes() {
    sysctl("net/ipv4/tcp_fin_timeout", "10");
    let all = connect_many(local(), MANY);
    ready();
    pause(3_000);
    for stream in &all {
        stream.shutdown(Shutdown::Write).expect("shutdown");
    }
    forever();
}

/// Connects to the server behind the devices, which starts later.
fn connect_late(count: usize) -> Vec<TcpStream> {
    crate::wait::eventually("a server", || TcpStream::connect(peer()).is_ok());
    connect_many(peer(), count)
}

fn closes_to_the_deaf() {
    ready();
    let mut all = connect_late(MANY);
    all.iter_mut().for_each(ask);
    pause(3_000);
    for stream in &all {
        stream.shutdown(Shutdown::Write).expect("shutdown");
    }
    forever();
}

/// Receives the first request, and nothing after its response.
fn is_deaf() {
    server(|mut stream| {
        if super::tools::answer(&mut stream) {
            pause(500);
            deafen(&stream);
            forever();
        }
    });
}

fn waits_for_the_end() {
    sysctl("net/ipv4/tcp_fin_timeout", "15");
    ready();
    let mut all = connect_late(MANY);
    all.iter_mut().for_each(ask);
    for stream in &all {
        stream.shutdown(Shutdown::Write).expect("shutdown");
    }
    forever();
}

fn vanishes() {
    server(|mut stream| {
        if super::tools::answer(&mut stream) {
            read_to_end(&mut stream);
            pause(300);
            vanish(stream);
        }
    });
}

/// Closes after its client has closed.
fn closes_last() {
    server(|mut stream| {
        read_to_end(&mut stream);
        pause(500);
    });
}

/// Ends the connections without a packet to the server, as if the host had lost power.
fn vanish_all(all: Vec<TcpStream>) -> ! {
    all.into_iter().for_each(vanish);
    tool("ip", ["route", "add", "blackhole", &remote().ip().to_string()]);
    forever();
}

fn closes_and_vanishes() {
    ready();
    pause(3_000);
    let all = connect_many(remote(), MANY);
    for stream in &all {
        stream.shutdown(Shutdown::Write).expect("shutdown");
    }
    pause(100);
    vanish_all(all);
}

/// Receives nothing from the moment of its close until its clients have closed as well.
fn closes_unheard() {
    let listener = listen(any(), 16);
    ready();
    let mut all = accept_many(&listener, MANY);
    for stream in &mut all {
        stream.read_exact(&mut [0; 100]).expect("the request");
    }
    pause(1_000);
    for stream in &all {
        deafen(stream);
        stream.shutdown(Shutdown::Write).expect("shutdown");
    }
    pause(2_000);
    all.iter().for_each(hear);
    forever();
}

fn closes_unheard_and_vanishes() {
    ready();
    pause(3_000);
    let mut all = connect_many(remote(), MANY);
    all.iter_mut().for_each(request);
    pause(500);
    all.iter().for_each(deafen);
    pause(1_500);
    for stream in &all {
        stream.shutdown(Shutdown::Write).expect("shutdown");
    }
    pause(5_000);
    vanish_all(all);
}
