//! Sockets of other processes, and the effect of their end on the sockets.

use std::{net::SocketAddr, time::Duration};

use nix::sys::signal::Signal;
use tcptrace_tests::{
    actor::{self, exit},
    expect::path,
    fixture::scenario,
    net::{Family, accept, connect, listen, read_end, wait_for_established},
    process::Running,
};

use super::{CLIENT_FIRST, LISTENER, SERVER_SECOND};

const LIMIT: Duration = Duration::from_secs(10);

fn actor(what: &str, address: SocketAddr) -> Running {
    actor::start(env!("CARGO_BIN_EXE_actor"), what, address).0
}

#[test]
fn exit_with_open_sockets() {
    scenario("exit_with_open_sockets", |ports| {
        let listener = listen(ports.listen(Family::V4));
        let client = actor("connect", ports.connect(Family::V4));
        let (server, pid) = (accept(&listener), client.pid());
        exit(client);
        read_end(&server);
        drop((server, listener));
        vec![path(LISTENER), path(CLIENT_FIRST).of(pid), path(SERVER_SECOND)]
    });
}

#[test]
fn killed_with_open_sockets() {
    scenario("killed_with_open_sockets", |ports| {
        let listener = listen(ports.listen(Family::V4));
        let mut client = actor("connect", ports.connect(Family::V4));
        let server = accept(&listener);
        client.signal(Signal::SIGKILL);
        client.wait(LIMIT);
        read_end(&server);
        drop((server, listener));
        vec![path(LISTENER), path(CLIENT_FIRST).of(client.pid()), path(SERVER_SECOND)]
    });
}

/// A child inherits the listener's owner. That is not the process that happens to run at the child's creation: here the
/// client's, in whose context loopback delivers the packets.
#[test]
fn listener_of_another_process() {
    scenario("listener_of_another_process", |ports| {
        let (server, address) = (actor("listen", ports.listen(Family::V4)), ports.connect(Family::V4));
        let (client, pid) = (connect(address), server.pid());
        wait_for_established(address.port());
        exit(server);
        drop(client);
        vec![
            path(LISTENER).of(pid),
            path("CLOSE SYN_SENT! ESTABLISHED CLOSE/104"),
            path("LISTEN SYN_RECV ESTABLISHED CLOSE/0").of(pid),
        ]
    });
}
