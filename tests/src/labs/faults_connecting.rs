//! Connections that are never established.

use std::net::{SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use super::{
    Situation, fault, fault_at, here,
    honest_connecting::black_hole,
    tools::{answer_all, at, connect_many, every, forever, local, pause, ready, server},
};
use crate::{
    net::begin_connect,
    netns::{V4, sysctl},
};

pub(super) const ALL: &[Situation] = &[
    fault_at(
        "203.0.113.7:443",
        "destination_that_is_gone",
        "unreachable-destination",
        "client",
        &[here("client", tries_in_vain)],
    ),
    fault_at(
        "192.0.2.1:9999",
        "service_that_is_stopped",
        "connection-refused",
        "client",
        &[here("client", is_refused)],
    ),
    fault("scan", "outbound-scan", "scanner", &[here("scanner", scans)]),
    fault_at(
        "192.0.2.1:",
        "open_connections_have_all_ports",
        "port-exhaustion",
        "client",
        &[here("server", answers), here("client", takes_all)],
    ),
    fault_at(
        "192.0.2.1:",
        "time_wait_has_all_ports",
        "time-wait-exhaustion",
        "client",
        &[here("server", answers), here("client", closes_first)],
    ),
];

fn answers() {
    server(answer_all);
}

fn begin(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    begin_connect(&socket, address);
    socket
}

fn tries_in_vain() {
    black_hole();
    ready();
    pause(3_000);
    let _attempts: Vec<_> = (0..6).map(|_| begin(at([203, 0, 113, 7].into(), 443))).collect();
    forever();
}

fn is_refused() {
    ready();
    every(3_000, || drop(TcpStream::connect(at(V4, 9_999)).expect_err("nobody listens there")));
}

fn scans() {
    black_hole();
    ready();
    pause(3_000);
    let _silent: Vec<_> = (1..=40).map(|host| begin(at([203, 0, 113, host].into(), 22))).collect();
    for port in 1..=40 {
        let _ = TcpStream::connect(at(V4, port));
        pause(100);
    }
    forever();
}

/// Keeps its connections, and tries to make more.
fn takes_all() {
    sysctl("net/ipv4/ip_local_port_range", "40000 40029");
    let _all = connect_many(local(), 30);
    ready();
    every(4_000, || drop(TcpStream::connect(local()).expect_err("no port")));
}

/// Closes first, and needs its ports again at once.
fn closes_first() {
    sysctl("net/ipv4/ip_local_port_range", "40000 40029");
    sysctl("net/ipv4/tcp_tw_reuse", "0");
    ready();
    pause(3_000);
    every(200, || drop(TcpStream::connect(local())));
}
