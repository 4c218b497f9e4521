//! The end of a process, which closes its open sockets.

use std::{net::SocketAddr, time::Duration};

use nix::{errno::Errno, sys::signal::Signal};
use tcptrace_tests::{
    actor::{self, exit},
    close_checks::{end, end_by_exit, ends},
    net::{Family, accept, connect, listen, read_end, read_error, wait_for_established},
    process::Running,
};

use super::LISTENER;

const LIMIT: Duration = Duration::from_secs(10);

fn actor(what: &str, address: SocketAddr) -> Running {
    actor::start(env!("CARGO_BIN_EXE_actor"), what, address).0
}

#[test]
fn exited() {
    ended("exited", exit);
}

#[test]
fn killed() {
    ended("killed", |mut actor| {
        actor.signal(Signal::SIGKILL);
        actor.wait(LIMIT);
    });
}

/// A client whose process ends with the socket open.
fn ended(name: &str, end_it: fn(Running)) {
    ends(name, move |ports| {
        let listener = listen(ports.listen(Family::V4));
        let client = actor("connect", ports.connect(Family::V4));
        let server = accept(&listener);
        end_it(client);
        read_end(&server);
        drop((server, listener));
        vec![
            end(LISTENER),
            end_by_exit("client FIN_WAIT2 process_exited", "client FIN_WAIT2 active_close"),
            end("server LAST_ACK passive_close"),
        ]
    });
}

/// The cause is the end of the process, which is more precise than the reset that it causes.
#[test]
fn exited_with_unread_data() {
    ends("exited_with_unread_data", move |ports| {
        let listener = listen(ports.listen(Family::V4));
        let client = actor("connect", ports.connect(Family::V4));
        let server = accept(&listener);
        server.send(b"x").expect("send");
        exit(client);
        assert_eq!(read_error(&server), Errno::ECONNRESET as i32);
        drop((server, listener));
        vec![
            end(LISTENER),
            end_by_exit("client ESTABLISHED process_exited", "client ESTABLISHED reset_unread"),
            end("server ESTABLISHED reset_by_peer"),
        ]
    });
}

/// The cause is the peer's close, which came first.
#[test]
fn exited_after_the_peer_closed() {
    ends("exited_after_the_peer_closed", move |ports| {
        let listener = listen(ports.listen(Family::V4));
        let client = actor("connect", ports.connect(Family::V4));
        drop(accept(&listener));
        exit(client);
        drop(listener);
        vec![end(LISTENER), end("client LAST_ACK passive_close"), end("server FIN_WAIT2 active_close")]
    });
}

#[test]
fn listener_exited() {
    ends("listener_exited", move |ports| {
        let server = actor("listen", ports.listen(Family::V4));
        let address = ports.connect(Family::V4);
        let client = connect(address);
        wait_for_established(address.port());
        exit(server);
        assert_eq!(read_error(&client), Errno::ECONNRESET as i32);
        drop(client);
        vec![
            end_by_exit("listener LISTEN process_exited", LISTENER),
            end("client ESTABLISHED reset_by_peer"),
            end("server ESTABLISHED listener_closed"),
        ]
    });
}
