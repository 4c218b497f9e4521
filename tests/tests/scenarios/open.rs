//! Opening, and failures of that.

use nix::errno::Errno;
use tcptrace_tests::{
    expect::path,
    fixture::scenario,
    net::{self, Family, accept, begin_connect, connect_error, deafen, hear, listen},
    netns::V4,
    steps,
};

use super::{CLIENT_FIRST, CLIENT_SECOND, LISTENER, SERVER_FIRST};

#[test]
fn listen_and_close() {
    scenario("listen_and_close", |ports| {
        for family in [Family::V4, Family::V6, Family::MappedServer] {
            drop(listen(ports.listen(family)));
        }
        vec![path(LISTENER), path(LISTENER), path(LISTENER)]
    });
}

fn refused_by(name: &str, family: Family) {
    scenario(name, move |ports| {
        assert_eq!(connect_error(ports.connect(family)), Errno::ECONNREFUSED as i32);
        vec![path("CLOSE SYN_SENT! CLOSE/111")]
    });
}

#[test]
fn refused() {
    refused_by("refused", Family::V4);
}

#[test]
fn refused_v6() {
    refused_by("refused_v6", Family::V6);
}

#[test]
fn refused_mapped() {
    refused_by("refused_mapped", Family::MappedClient);
}

/// `connect()` fails before the state changes: no hook sees anything. The listener shows that the tracers worked.
#[test]
fn no_route() {
    scenario("no_route", |ports| {
        let nowhere = ([203, 0, 113, 1], ports.port(1)).into();
        assert_eq!(connect_error(nowhere), Errno::ENETUNREACH as i32);
        drop(listen(ports.listen(Family::V4)));
        vec![path(LISTENER)]
    });
}

#[test]
fn connect_then_close() {
    scenario("connect_then_close", |ports| {
        steps::connect_cancelled(ports);
        vec![path(LISTENER), path("CLOSE SYN_SENT! CLOSE!/0")]
    });
}

/// A socket bound to the address that it connects to meets its own SYN.
#[test]
fn connect_to_itself() {
    scenario("connect_to_itself", |ports| {
        let address = ports.connect(Family::V4);
        let socket = net::socket(address);
        socket.bind(&address.into()).expect("bind");
        socket.connect(&address.into()).expect("connect to itself");
        drop(socket);
        vec![path("CLOSE SYN_SENT! SYN_RECV ESTABLISHED FIN_WAIT1! CLOSING CLOSE/0")]
    });
}

/// Two sockets connect to each other. The second does not connect yet when the first one's SYN arrives, so the SYN is
/// refused; but the first drops the refusal.
#[test]
fn simultaneous_open() {
    scenario("simultaneous_open", |ports| {
        let (one, other) = (net::local(V4, ports.port(0)), net::local(V4, ports.port(1)));
        let (first, second) = (net::socket(one), net::socket(other));
        first.bind(&one.into()).expect("bind");
        second.bind(&other.into()).expect("bind");
        deafen(&first);
        begin_connect(&first, other);
        hear(&first);
        second.connect(&one.into()).expect("the crossing connect");
        // The second socket is established once it has sent the last segment; the first one is when that arrives.
        net::wait_for_established(ports.port(0));
        drop(first);
        net::read_end(&second);
        drop(second);
        vec![
            path("CLOSE SYN_SENT! SYN_RECV ESTABLISHED FIN_WAIT1! FIN_WAIT2 CLOSE/0"),
            path("CLOSE SYN_SENT! ESTABLISHED CLOSE_WAIT LAST_ACK! CLOSE/0")
                .or("CLOSE SYN_SENT! SYN_RECV ESTABLISHED CLOSE_WAIT LAST_ACK! CLOSE/0"),
        ]
    });
}

/// A client that has chosen its port before it connects shows the port from the beginning.
#[test]
fn bound_client() {
    scenario("bound_client", |ports| {
        let address = ports.connect(Family::V4);
        let listener = listen(ports.listen(Family::V4));
        let client = net::socket(address);
        client.bind(&net::local(V4, ports.port(1)).into()).expect("bind");
        client.connect(&address.into()).expect("connect");
        let server = accept(&listener);
        drop(server);
        net::read_end(&client);
        drop(client);
        let (client, server) = net::pair(&listener, address);
        drop(client);
        net::read_end(&server);
        drop((server, listener));
        vec![
            path(LISTENER),
            path(CLIENT_SECOND),
            path(SERVER_FIRST),
            path(CLIENT_FIRST),
            path(super::SERVER_SECOND),
        ]
    });
}
