//! Many ports in use, but not all.

use std::{io::Read as _, net::Shutdown};

use socket2::{Domain, Socket, Type};

use super::{
    Situation, here, honest,
    tools::{answer_all, answer_once, ask, ask_once, at, connect_many, every, local, port, ready, server},
};
use crate::netns::{V4, sysctl};

pub(super) const ALL: &[Situation] = &[
    honest("time_wait_that_is_reused", &[here("server", answers), here("client", reuses)]),
    honest("time_wait_to_many_destinations", &[here("server", answers), here("client", spreads)]),
    honest("reconnects_from_a_bound_port", &[here("server", answers_once), here("client", reconnects)]),
    honest("pool_that_takes_half_of_the_ports", &[here("server", answers), here("client", takes_half)]),
];

fn answers() {
    server(answer_all);
}

fn answers_once() {
    server(answer_once);
}

/// Uses a hundred ports, each free again after a second.
fn reuses() {
    sysctl("net/ipv4/ip_local_port_range", "40000 40099");
    sysctl("net/ipv4/tcp_tw_reuse", "1");
    ready();
    every(60, || ask_once(local()));
}

/// Uses fewer ports than there are sockets in TIME_WAIT, but more than there are to each destination.
fn spreads() {
    sysctl("net/ipv4/ip_local_port_range", "40000 40299");
    sysctl("net/ipv4/tcp_tw_reuse", "0");
    ready();
    let mut host = 0;
    every(60, || {
        host = host % 20 + 1;
        ask_once(at([192, 0, 2, host].into(), port()));
    });
}

/// Connects from the same port again; the server closes first.
fn reconnects() {
    ready();
    every(1_000, || {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_reuse_address(true).expect("SO_REUSEADDR");
        socket.bind(&at(V4, 5_000).into()).expect("bind");
        socket.connect(&local().into()).expect("connect");
        socket.send(&[0; 100]).expect("the request");
        (&socket).read_to_end(&mut Vec::new()).expect("the answer");
        socket.shutdown(Shutdown::Both).expect("shutdown");
    });
}

fn takes_half() {
    sysctl("net/ipv4/ip_local_port_range", "40000 40099");
    let mut all = connect_many(local(), 50);
    ready();
    every(1_000, || all.iter_mut().for_each(ask));
}
