//! Listeners, and what becomes of those that wait there.

use std::{net::Shutdown, thread::sleep, time::Duration};

use nix::errno::Errno;
use tcptrace_tests::{
    acts, both_hooks,
    ends::{end, ends},
    machine::Hook,
    net::{Family, connect, listen, read_error, wait_for_child},
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
        let [first, second] = acts::listen_twice(ports);
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
