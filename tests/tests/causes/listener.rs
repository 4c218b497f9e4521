//! Listeners, and the end of connections that wait in their queues.

use std::{net::Shutdown, thread::sleep, time::Duration};

use nix::errno::Errno;
use tcptrace_tests::{
    close_checks::{end, ends, told},
    net::{Family, connect, listen, read_error, wait_for_child},
    process::tool,
    steps,
};

use super::LISTENER;

#[test]
fn stopped() {
    ends("stopped", |ports| {
        for family in [Family::V4, Family::V6] {
            drop(listen(ports.listen(family)));
        }
        vec![end(LISTENER), end(LISTENER)]
    });
}

/// `shutdown()` leaves the socket open, without a connection.
#[test]
fn shut_down() {
    ends("shut_down", |ports| {
        let listener = listen(ports.listen(Family::V4));
        sleep(Duration::from_millis(20));
        listener.shutdown(Shutdown::Both).expect("shutdown");
        sleep(Duration::from_millis(20));
        drop(listener);
        vec![end(LISTENER)]
    });
}

/// `shutdown()` so soon after `listen()` that it resembles a failed `listen()`.
#[test]
fn shut_down_at_once() {
    ends("shut_down_at_once", |ports| {
        for _ in 0..3 {
            let listener = listen(ports.listen(Family::V4));
            listener.shutdown(Shutdown::Both).expect("shutdown");
        }
        vec![end(LISTENER); 3]
    });
}

/// For a socket that has listened before, a failed `listen()` and `shutdown()` cannot be distinguished.
#[test]
fn listened_again() {
    ends("listened_again", |ports| {
        let listener = listen(ports.listen(Family::V4));
        listener.shutdown(Shutdown::Both).expect("shutdown");
        listener.listen(1).expect("listen");
        listener.shutdown(Shutdown::Both).expect("shutdown");
        listener.listen(1).expect("listen");
        drop(listener);
        vec![end(LISTENER), end("listener LISTEN -"), end(LISTENER)]
    });
}

/// Two sockets may bind to an address with `SO_REUSEADDR`; only one may listen.
#[test]
fn address_in_use() {
    ends("address_in_use", |ports| {
        let [first, second] = steps::listen_twice(ports);
        drop((second, first));
        vec![end(LISTENER), end("listener LISTEN address_in_use")]
    });
}

#[test]
fn never_accepted() {
    ends("never_accepted", |ports| {
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

/// Another process destroys a listener, and with it the connections in its queue. The listener's program still runs and
/// has it open.
#[test]
fn killed_by_ss() {
    let told = told("killed_by_ss", |ports| {
        let listener = listen(ports.listen(Family::V4));
        let client = connect(ports.connect(Family::V4));
        wait_for_child(&listener);
        let port = format!(":{}", ports.port(0));
        tool("ss", ["--kill", "--tcp", "state", "listening", "sport", "=", &port]);
        assert_eq!(read_error(&client), Errno::ECONNRESET as i32);
        assert_eq!(
            listener.take_error().expect("SO_ERROR").and_then(|error| error.raw_os_error()),
            Some(Errno::ECONNABORTED as i32)
        );
        drop((client, listener));
        let ends = vec![
            end("listener LISTEN killed"),
            end("client ESTABLISHED reset_by_peer"),
            end("server ESTABLISHED listener_closed"),
        ];
        (ends, ())
    });
    let Some((by_hook, ())) = told else { return };
    for end in by_hook.iter().flat_map(|told| &told.ends) {
        assert_eq!(end.json["owner"]["pid"], std::process::id(), "not ss: {}", end.json);
    }
}

/// The kernel destroys a long queue with its listener, child by child.
#[test]
fn under_many() {
    ends("under_many", |ports| {
        let listener = listen(ports.listen(Family::V4));
        listener.listen(64).expect("a longer queue");
        let clients: Vec<_> = (0..32).map(|_| connect(ports.connect(Family::V4))).collect();
        wait_for_child(&listener);
        drop(listener);
        for client in &clients {
            assert_eq!(read_error(client), Errno::ECONNRESET as i32);
        }
        drop(clients);
        let each = [end("client ESTABLISHED reset_by_peer"), end("server ESTABLISHED listener_closed")];
        std::iter::once(end(LISTENER)).chain(each.into_iter().cycle().take(64)).collect()
    });
}
