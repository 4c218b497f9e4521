//! Closing by RST.

use nix::errno::Errno;
use tcptrace_tests::{
    acts, both_hooks,
    expect::path,
    machine::Hook,
    net::{Family, listen, read_error, wait_for_child},
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
        acts::linger_zero(ports, family);
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
        acts::reset_in_close_wait(ports);
        vec![
            path(LISTENER),
            path("CLOSE SYN_SENT! ESTABLISHED CLOSE_WAIT CLOSE/32"),
            path("LISTEN SYN_RECV ESTABLISHED FIN_WAIT1! FIN_WAIT2 CLOSE!/0"),
        ]
    });
}

fn unread_data(hook: Hook, name: &str) {
    scenario(hook, name, |ports| {
        acts::unread_data(ports);
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
        acts::disconnect_and_reconnect(ports);
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
        acts::killed_by_ss(ports);
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
