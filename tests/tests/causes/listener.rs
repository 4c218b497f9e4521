//! Listeners, and what becomes of those that wait there.

use std::{net::Shutdown, thread::sleep, time::Duration};

use nix::errno::Errno;
use tcptrace_tests::{
    both_hooks,
    ends::{end, ends},
    machine::Hook,
    net::{self, Family, connect, listen, read_error, wait_for_child},
};

use super::LISTENER;

both_hooks!(stopped, shut_down, address_in_use, never_accepted);

fn stopped(hook: Hook, name: &str) {
    ends(hook, name, |ports| {
        for family in [Family::V4, Family::V6] {
            drop(listen(ports.listen(family)));
        }
        vec![end(LISTENER), end(LISTENER)]
    });
}

/// `shutdown()` leaves the socket open, and without a connection.
fn shut_down(hook: Hook, name: &str) {
    ends(hook, name, |ports| {
        let listener = listen(ports.listen(Family::V4));
        sleep(Duration::from_millis(20));
        listener.shutdown(Shutdown::Both).expect("shutdown");
        sleep(Duration::from_millis(20));
        drop(listener);
        vec![end(LISTENER)]
    });
}

/// Two may bind to an address with `SO_REUSEADDR`; one may listen.
fn address_in_use(hook: Hook, name: &str) {
    ends(hook, name, |ports| {
        let address = ports.listen(Family::V4);
        let bound = || {
            let socket = net::socket(address);
            socket.bind(&address.into()).expect("bind");
            socket
        };
        let (first, second) = (bound(), bound());
        first.listen(16).expect("listen");
        let error = second.listen(16).expect_err("somebody listens there");
        assert_eq!(error.raw_os_error(), Some(Errno::EADDRINUSE as i32));
        drop((second, first));
        vec![end(LISTENER), end("listener LISTEN address_in_use")]
    });
}

fn never_accepted(hook: Hook, name: &str) {
    ends(hook, name, |ports| {
        let listener = listen(ports.listen(Family::V4));
        let client = connect(ports.connect(Family::V4));
        wait_for_child(&listener);
        drop(listener);
        assert_eq!(read_error(&client), Errno::ECONNRESET as i32);
        drop(client);
        vec![
            end(LISTENER),
            end("client ESTABLISHED reset_by_peer"),
            end("server ESTABLISHED listener_closed"),
        ]
    });
}
