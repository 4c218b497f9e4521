//! Attempts to connect that fail.

use std::net::Shutdown;

use nix::{
    errno::Errno,
    sys::socket::{setsockopt, sockopt::TcpFastOpenConnect},
};
use rustix::net::connect_unspec;
use socket2::Socket;
use tcptrace_tests::{
    close_checks::{end, ends},
    net::{self, Family, connect_error, listen, pair, read_end},
    netns::{Namespace, V4, sysctl},
    process::tool,
    steps,
};

use super::LISTENER;

/// `net.ipv4.tcp_fastopen`: client, server, data without cookie.
const WITHOUT_COOKIE: &str = "7";

#[test]
fn refused() {
    ends("refused", |ports| {
        for family in [Family::V4, Family::V6, Family::MappedClient] {
            assert_eq!(connect_error(ports.connect(family)), Errno::ECONNREFUSED as i32);
        }
        vec![end("client SYN_SENT refused"); 3]
    });
}

/// The listener drops the SYNs: one retry, three seconds.
#[test]
fn timed_out() {
    ends("timed_out", |ports| {
        steps::connect_timeout(ports);
        vec![end(LISTENER), end("client SYN_SENT connect_timeout")]
    });
}

/// No host on the link has the address.
#[test]
fn host_unreachable() {
    ends("host_unreachable", |ports| {
        steps::host_unreachable(ports);
        vec![end("client SYN_SENT host_unreachable")]
    });
}

/// A router without a further route reports that by ICMP.
#[test]
fn net_unreachable() {
    ends("net_unreachable", |ports| {
        let router = Namespace::usual();
        let there = router.path();
        tool("ip", ["link", "add", "veth0", "type", "veth", "peer", "name", "veth1", "netns", there]);
        tool("ip", ["address", "add", "198.51.100.1/24", "dev", "veth0"]);
        tool("ip", ["link", "set", "veth0", "up"]);
        router.run(|| {
            tool("ip", ["address", "add", "198.51.100.2/24", "dev", "veth1"]);
            tool("ip", ["link", "set", "veth1", "up"]);
            sysctl("net/ipv4/ip_forward", "1");
        });
        tool("ip", ["route", "add", "203.0.113.0/24", "via", "198.51.100.2"]);
        let beyond = ([203, 0, 113, 1], ports.port(0)).into();
        assert_eq!(connect_error(beyond), Errno::ENETUNREACH as i32);
        vec![end("client SYN_SENT net_unreachable")]
    });
}

#[test]
fn cancelled() {
    ends("cancelled", |ports| {
        steps::connect_cancelled(ports);
        vec![end(LISTENER), end("client SYN_SENT connect_cancelled")]
    });
}

/// The SYN waits for the first data, which never comes.
#[test]
fn nothing_to_send() {
    ends("nothing_to_send", |ports| {
        sysctl("net/ipv4/tcp_fastopen", WITHOUT_COOKIE);
        let address = ports.connect(Family::V4);
        let client = net::socket(address);
        setsockopt(&client, TcpFastOpenConnect, &true).expect("TCP_FASTOPEN_CONNECT");
        client.connect(&address.into()).expect("nothing is sent, so that nothing fails");
        drop(client);
        vec![end("client SYN_SENT connect_cancelled")]
    });
}

/// The SYN waits for the first data, and the program ends the attempt before without `close()`. Such a socket has a
/// port already, and the program gets no error.
#[test]
fn deferred_and_given_up() {
    ends("deferred_and_given_up", |ports| {
        sysctl("net/ipv4/tcp_fastopen", WITHOUT_COOKIE);
        let address = ports.connect(Family::V4);
        let give_up: [fn(&Socket); 3] = [
            |client| client.shutdown(Shutdown::Both).expect("shutdown"),
            |client| client.shutdown(Shutdown::Write).expect("shutdown"),
            |client| connect_unspec(client).expect("disconnect"),
        ];
        for give_up in give_up {
            let client = net::socket(address);
            setsockopt(&client, TcpFastOpenConnect, &true).expect("TCP_FASTOPEN_CONNECT");
            client.connect(&address.into()).expect("nothing is sent, so that nothing fails");
            assert_ne!(net::bound_to(&client).port(), 0, "the kernel has chosen a port");
            give_up(&client);
        }
        vec![end("client SYN_SENT connect_cancelled"); 3]
    });
}

/// There is only one port, and it already has a connection to the destination.
#[test]
fn no_local_port() {
    ends("no_local_port", |ports| {
        let port = ports.port(1);
        sysctl("net/ipv4/ip_local_port_range", &format!("{port} {port}"));
        let listener = listen(ports.listen(Family::V4));
        let (client, server) = pair(&listener, ports.connect(Family::V4));
        assert_eq!(connect_error(ports.connect(Family::V4)), Errno::EADDRNOTAVAIL as i32);
        drop(client);
        read_end(&server);
        drop((server, listener));
        vec![
            end(LISTENER),
            end("client SYN_SENT no_local_port"),
            end("client FIN_WAIT2 active_close"),
            end("server LAST_ACK passive_close"),
        ]
    });
}

/// Two sockets bound to one port cannot both connect to one server.
#[test]
fn the_same_ends_twice() {
    ends("the_same_ends_twice", |ports| {
        let listener = listen(ports.listen(Family::V4));
        let address = ports.connect(Family::V4);
        let bound = || {
            let client = net::socket(address);
            client.bind(&net::local(V4, ports.port(1)).into()).expect("bind");
            client
        };
        let (client, second) = (bound(), bound());
        client.connect(&address.into()).expect("connect");
        let server = net::accept(&listener);
        let error = second.connect(&address.into()).expect_err("the ends are taken");
        assert_eq!(error.raw_os_error(), Some(Errno::EADDRNOTAVAIL as i32));
        drop(second);
        drop(client);
        read_end(&server);
        drop((server, listener));
        vec![
            end(LISTENER),
            end("client SYN_SENT ends_in_use"),
            end("client FIN_WAIT2 active_close"),
            end("server LAST_ACK passive_close"),
        ]
    });
}
