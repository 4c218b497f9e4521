//! Closing by RST.

use std::net::Shutdown;

use nix::errno::Errno;
use tcptrace_tests::{
    both_hooks,
    expect::path,
    machine::Hook,
    net::{Family, abort, accept, listen, pair, peek, read_end, read_error, wait_for_child},
    process::tool,
    world::scenario,
};

use super::LISTENER;

both_hooks!(
    linger_zero,
    linger_zero_v6,
    linger_zero_mapped,
    reset_in_close_wait,
    unread_data,
    disconnect_and_reconnect,
    killed_by_ss,
    listener_with_unaccepted,
);

/// Closed with LINGER 0 on one side, RST received in ESTABLISHED on the other.
fn linger_zero_by(hook: Hook, name: &str, family: Family) {
    scenario(hook, name, move |ports| {
        let listener = listen(ports.listen(family));
        let (client, server) = pair(&listener, ports.connect(family));
        abort(client);
        assert_eq!(read_error(&server), Errno::ECONNRESET as i32);
        drop((server, listener));
        vec![
            path(LISTENER),
            path("CLOSE SYN_SENT! ESTABLISHED CLOSE!/0"),
            path("LISTEN SYN_RECV ESTABLISHED CLOSE/104"),
        ]
    });
}

fn linger_zero(hook: Hook, name: &str) {
    linger_zero_by(hook, name, Family::V4);
}

fn linger_zero_v6(hook: Hook, name: &str) {
    linger_zero_by(hook, name, Family::V6);
}

fn linger_zero_mapped(hook: Hook, name: &str) {
    linger_zero_by(hook, name, Family::MappedServer);
}

fn reset_in_close_wait(hook: Hook, name: &str) {
    scenario(hook, name, |ports| {
        let listener = listen(ports.listen(Family::V4));
        let (client, server) = pair(&listener, ports.connect(Family::V4));
        server.shutdown(Shutdown::Write).expect("shutdown");
        read_end(&client);
        // Data that the server never reads: its close must be a reset.
        client.send(b"x").expect("send");
        peek(&server);
        drop(server);
        drop((client, listener));
        vec![
            path(LISTENER),
            path("CLOSE SYN_SENT! ESTABLISHED CLOSE_WAIT CLOSE/32"),
            path("LISTEN SYN_RECV ESTABLISHED FIN_WAIT1! FIN_WAIT2 CLOSE!/0"),
        ]
    });
}

fn unread_data(hook: Hook, name: &str) {
    scenario(hook, name, |ports| {
        let listener = listen(ports.listen(Family::V4));
        let (client, server) = pair(&listener, ports.connect(Family::V4));
        client.send(b"x").expect("send");
        peek(&server);
        drop(server);
        assert_eq!(read_error(&client), Errno::ECONNRESET as i32);
        drop((client, listener));
        vec![
            path(LISTENER),
            path("CLOSE SYN_SENT! ESTABLISHED CLOSE/104"),
            path("LISTEN SYN_RECV ESTABLISHED CLOSE!/0"),
        ]
    });
}

/// `connect()` to `AF_UNSPEC` ends the connection, not the socket, which then connects anew.
fn disconnect_and_reconnect(hook: Hook, name: &str) {
    scenario(hook, name, |ports| {
        let listener = listen(ports.listen(Family::V4));
        let address = ports.connect(Family::V4);
        let (client, server) = pair(&listener, address);
        rustix::net::connect_unspec(&client).expect("disconnect");
        assert_eq!(read_error(&server), Errno::ECONNRESET as i32);
        client.connect(&address.into()).expect("connect again");
        let again = accept(&listener);
        drop(client);
        read_end(&again);
        drop((server, again, listener));
        vec![
            path(LISTENER),
            path("CLOSE SYN_SENT! ESTABLISHED CLOSE!/0"),
            path("LISTEN SYN_RECV ESTABLISHED CLOSE/104"),
            path(super::CLIENT_FIRST),
            path(super::SERVER_SECOND),
        ]
    });
}

/// Somebody else destroys the socket: who did so is not its owner.
fn killed_by_ss(hook: Hook, name: &str) {
    scenario(hook, name, |ports| {
        let listener = listen(ports.listen(Family::V4));
        let (client, server) = pair(&listener, ports.connect(Family::V4));
        let port = format!(":{}", ports.port(0));
        tool("ss", ["--kill", "--tcp", "state", "established", "dport", "=", &port]);
        assert_eq!(read_error(&client), Errno::ECONNABORTED as i32);
        assert_eq!(read_error(&server), Errno::ECONNRESET as i32);
        drop((client, server, listener));
        vec![
            path(LISTENER),
            path("CLOSE SYN_SENT! ESTABLISHED CLOSE/103"),
            path("LISTEN SYN_RECV ESTABLISHED CLOSE/104"),
        ]
    });
}

fn listener_with_unaccepted(hook: Hook, name: &str) {
    scenario(hook, name, |ports| {
        let listener = listen(ports.listen(Family::V4));
        let client = tcptrace_tests::net::connect(ports.connect(Family::V4));
        wait_for_child(&listener);
        drop(listener);
        assert_eq!(read_error(&client), Errno::ECONNRESET as i32);
        drop(client);
        vec![
            path(LISTENER),
            path("CLOSE SYN_SENT! ESTABLISHED CLOSE/104"),
            path("LISTEN SYN_RECV ESTABLISHED CLOSE/0"),
        ]
    });
}
