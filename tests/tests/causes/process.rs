//! The end of a process, which closes what it has open.

use std::{net::SocketAddr, time::Duration};

use nix::{errno::Errno, sys::signal::Signal};
use tcptrace_tests::{
    actor::{self, exit},
    both_hooks,
    ends::{end, end_by_exit, ends},
    machine::Hook,
    net::{Family, accept, connect, listen, read_end, read_error, wait_for_established},
    process::Running,
};

use super::LISTENER;

both_hooks!(exited, killed, exited_with_unread_data, exited_after_the_peer_closed, listener_exited);

const LIMIT: Duration = Duration::from_secs(10);

fn actor(what: &str, address: SocketAddr) -> Running {
    actor::start(env!("CARGO_BIN_EXE_actor"), what, address).0
}

fn exited(hook: Hook, name: &str) {
    ended(hook, name, exit);
}

fn killed(hook: Hook, name: &str) {
    ended(hook, name, |mut actor| {
        actor.signal(Signal::SIGKILL);
        actor.wait(LIMIT);
    });
}

/// A client whose process ends with the socket open.
fn ended(hook: Hook, name: &str, end_it: fn(Running)) {
    ends(hook, name, move |ports| {
        let listener = listen(ports.listen(Family::V4));
        let client = actor("connect", ports.connect(Family::V4));
        let server = accept(&listener);
        end_it(client);
        read_end(&server);
        drop((server, listener));
        vec![
            end(LISTENER),
            end_by_exit(hook, "client FIN_WAIT2 process_exited", "client FIN_WAIT2 active_close"),
            end("server LAST_ACK passive_close"),
        ]
    });
}

/// That the process ended says more than that its last act was a reset.
fn exited_with_unread_data(hook: Hook, name: &str) {
    ends(hook, name, move |ports| {
        let listener = listen(ports.listen(Family::V4));
        let client = actor("connect", ports.connect(Family::V4));
        let server = accept(&listener);
        server.send(b"x").expect("send");
        exit(client);
        assert_eq!(read_error(&server), Errno::ECONNRESET as i32);
        drop((server, listener));
        vec![
            end(LISTENER),
            end_by_exit(hook, "client ESTABLISHED process_exited", "client ESTABLISHED reset_unread"),
            end("server ESTABLISHED reset_by_peer"),
        ]
    });
}

/// It was the peer who began.
fn exited_after_the_peer_closed(hook: Hook, name: &str) {
    ends(hook, name, move |ports| {
        let listener = listen(ports.listen(Family::V4));
        let client = actor("connect", ports.connect(Family::V4));
        drop(accept(&listener));
        exit(client);
        drop(listener);
        vec![end(LISTENER), end("client LAST_ACK passive_close"), end("server FIN_WAIT2 active_close")]
    });
}

fn listener_exited(hook: Hook, name: &str) {
    ends(hook, name, move |ports| {
        let server = actor("listen", ports.listen(Family::V4));
        let address = ports.connect(Family::V4);
        let client = connect(address);
        wait_for_established(address.port());
        exit(server);
        assert_eq!(read_error(&client), Errno::ECONNRESET as i32);
        drop(client);
        vec![
            end_by_exit(hook, "listener LISTEN process_exited", LISTENER),
            end("client ESTABLISHED reset_by_peer"),
            end("server ESTABLISHED listener_closed"),
        ]
    });
}
