//! Connection attempts with a normal share of failures.

use std::{
    net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

use socket2::{Domain, Socket, Type};

use super::{
    Situation, here, honest,
    options::defer_connect,
    tools::{answer_all, answer_once, ask, ask_once, at, bound, every, local, pause, port, ready, server},
};
use crate::{
    net::begin_connect,
    netns::{V4, V6, sysctl},
    process::tool,
};

pub(super) const ALL: &[Situation] = &[
    honest("crawler_of_100_hosts", &[here("server", answers), here("crawler", crawls)]),
    honest("monitoring_with_dead_targets", &[here("server", answers), here("monitor", monitors)]),
    honest("happy_eyeballs_with_dead_ipv6", &[here("server", answers), here("browser", happy_eyeballs)]),
    honest("self_connection", &[here("both", connects_to_itself)]),
    honest("deferred_fast_open_that_is_dropped", &[here("server", answers), here("client", drops_fast_open)]),
    honest("ipv6_and_mapped_traffic", &[here("server", listens_on_both), here("client", asks_by_each)]),
];

/// Routes addresses to a device from which nothing comes back: 203.0.113.0/24 and 2001:db8:dead::/64.
pub(super) fn black_hole() {
    let mac = "02:00:00:00:00:01";
    tool("ip", ["link", "add", "hole0", "type", "veth", "peer", "name", "hole1"]);
    tool("ip", ["address", "add", "198.18.0.1/24", "dev", "hole0"]);
    tool("ip", ["address", "add", "2001:db8:beef::1/64", "dev", "hole0", "nodad"]);
    tool("ip", ["link", "set", "hole0", "up"]);
    tool("ip", ["link", "set", "hole1", "up"]);
    tool("ip", ["neighbour", "add", "198.18.0.2", "lladdr", mac, "dev", "hole0"]);
    tool("ip", ["neighbour", "add", "2001:db8:beef::2", "lladdr", mac, "dev", "hole0"]);
    tool("ip", ["route", "add", "203.0.113.0/24", "via", "198.18.0.2"]);
    tool("ip", ["-6", "route", "add", "2001:db8:dead::/64", "via", "2001:db8:beef::2"]);
}

fn answers() {
    server(answer_all);
}

/// Tries to connect for two seconds, and ignores the result.
fn try_to_ask(address: SocketAddr) {
    if let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(2)) {
        ask(&mut stream);
    }
}

/// Connects to 192.0.2.0/24, all of which is this host's. Ten of a hundred targets do not exist.
fn crawls() {
    black_hole();
    ready();
    for host in 1..=90 {
        try_to_ask(at([192, 0, 2, host].into(), port()));
        if host.is_multiple_of(18) {
            try_to_ask(at([203, 0, 113, host].into(), port()));
            try_to_ask(at([192, 0, 2, host].into(), port() + 1));
        }
        pause(400);
    }
}

/// Connects to forty targets every minute. Two of them are dead; each fails twice.
fn monitors() {
    black_hole();
    ready();
    pause(3_000);
    every(60_000, || {
        (1..=38).for_each(|host| try_to_ask(at([192, 0, 2, host].into(), port())));
        try_to_ask(at([203, 0, 113, 1].into(), port()));
        try_to_ask(at([192, 0, 2, 99].into(), port() + 1));
    });
}

/// Tries IPv6 for a quarter of a second, then IPv4 (RFC 8305).
fn happy_eyeballs() {
    black_hole();
    let dead = SocketAddr::from((Ipv6Addr::new(0x2001, 0xdb8, 0xdead, 0, 0, 0, 0, 1), port()));
    ready();
    every(1_000, || {
        let first = Socket::new(Domain::IPV6, Type::STREAM, None).expect("a socket");
        begin_connect(&first, dead);
        pause(250);
        drop(first);
        ask_once(local());
    });
}

/// Connects a socket to itself: a simultaneous open.
fn connects_to_itself() {
    ready();
    let mut port = 20_000;
    every(700, || {
        port += 1;
        let address = at(V4, port);
        let socket = bound(address);
        socket.connect(&address.into()).expect("connect");
        socket.send(b"hello").expect("send");
        socket.shutdown(Shutdown::Both).expect("shutdown");
    });
}

/// Closes before the first data, and so before the SYN.
fn drops_fast_open() {
    sysctl("net/ipv4/tcp_fastopen", "5");
    ready();
    let mut turn = 0;
    every(400, || {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        defer_connect(&socket);
        socket.connect(&local().into()).expect("it waits for data");
        turn += 1;
        match turn % 3 {
            0 => drop(socket.shutdown(Shutdown::Both)),
            1 => drop(rustix::net::connect_unspec(&socket)),
            _ => {}
        }
    });
}

fn listens_on_both() {
    let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port()));
    let socket = Socket::new(Domain::IPV6, Type::STREAM, None).expect("a socket");
    socket.set_only_v6(false).expect("IPV6_V6ONLY");
    socket.bind(&address.into()).expect("bind");
    socket.listen(64).expect("listen");
    ready();
    super::tools::serve(&socket.into(), answer_once);
}

fn asks_by_each() {
    let mapped: Ipv4Addr = V4;
    ready();
    every(300, || {
        ask_once(local());
        ask_once((V6, port()).into());
        ask_once((mapped.to_ipv6_mapped(), port()).into());
    });
}
