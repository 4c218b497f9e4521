//! Closing by RST.

use nix::errno::Errno;
use tcptrace_tests::{
    expect::path,
    fixture::scenario,
    net::{Family, listen, read_error, wait_for_child},
    steps,
};

use super::LISTENER;

/// Closed with LINGER 0 on one side, RST received in ESTABLISHED on the other.
fn linger_zero_by(name: &str, family: Family) {
    scenario(name, move |ports| {
        steps::linger_zero(ports, family);
        vec![
            path(LISTENER),
            path("CLOSE SYN_SENT! ESTABLISHED CLOSE!/0"),
            path("LISTEN SYN_RECV ESTABLISHED CLOSE/104"),
        ]
    });
}

#[test]
fn linger_zero() {
    linger_zero_by("linger_zero", Family::V4);
}

#[test]
fn linger_zero_v6() {
    linger_zero_by("linger_zero_v6", Family::V6);
}

#[test]
fn linger_zero_mapped() {
    linger_zero_by("linger_zero_mapped", Family::MappedServer);
}

#[test]
fn reset_in_close_wait() {
    scenario("reset_in_close_wait", |ports| {
        steps::reset_in_close_wait(ports);
        vec![
            path(LISTENER),
            path("CLOSE SYN_SENT! ESTABLISHED CLOSE_WAIT CLOSE/32"),
            path("LISTEN SYN_RECV ESTABLISHED FIN_WAIT1! FIN_WAIT2 CLOSE!/0"),
        ]
    });
}

#[test]
fn unread_data() {
    scenario("unread_data", |ports| {
        steps::unread_data(ports);
        vec![
            path(LISTENER),
            path("CLOSE SYN_SENT! ESTABLISHED CLOSE/104"),
            path("LISTEN SYN_RECV ESTABLISHED CLOSE!/0"),
        ]
    });
}

/// `connect()` to `AF_UNSPEC` ends the connection, not the socket, which then connects again.
#[test]
fn disconnect_and_reconnect() {
    scenario("disconnect_and_reconnect", |ports| {
        steps::disconnect_and_reconnect(ports);
        vec![
            path(LISTENER),
            path("CLOSE SYN_SENT! ESTABLISHED CLOSE!/0"),
            path("LISTEN SYN_RECV ESTABLISHED CLOSE/104"),
            path(super::CLIENT_FIRST),
            path(super::SERVER_SECOND),
        ]
    });
}

/// Another process destroys the socket: that process is not the owner.
#[test]
fn killed_by_ss() {
    scenario("killed_by_ss", |ports| {
        steps::killed_by_ss(ports);
        vec![
            path(LISTENER),
            path("CLOSE SYN_SENT! ESTABLISHED CLOSE/103"),
            path("LISTEN SYN_RECV ESTABLISHED CLOSE/104"),
        ]
    });
}

#[test]
fn listener_with_unaccepted() {
    scenario("listener_with_unaccepted", |ports| {
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
