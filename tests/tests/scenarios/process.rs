//! Sockets of other processes, and what their end does to them.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    process::{Command, Stdio},
    time::Duration,
};

use nix::sys::signal::Signal;
use tcptrace_tests::{
    both_hooks,
    expect::path,
    machine::{Hook, helper},
    net::{Family, accept, connect, listen, read_end},
    process::Running,
    world::scenario,
};

use super::{CLIENT_FIRST, LISTENER, SERVER_SECOND};

both_hooks!(exit_with_open_sockets, killed_with_open_sockets, listener_of_another_process);

const LIMIT: Duration = Duration::from_secs(10);

/// Starts `actor` and waits until it has its socket.
fn actor(what: &str, address: SocketAddr) -> Running {
    let mut command = Command::new(helper(env!("CARGO_BIN_EXE_actor")));
    command.args([what, &address.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut actor = Running::spawn(&mut command);
    actor.child().stdin.as_mut().expect("a pipe").write_all(b"\n").expect("the actor reads");
    let mut line = String::new();
    let stdout = actor.child().stdout.take().expect("a pipe");
    BufReader::new(stdout).read_line(&mut line).expect("the local address");
    line.trim().parse::<SocketAddr>().unwrap_or_else(|_| panic!("the actor has no socket: '{line}'"));
    actor
}

fn exit(actor: &mut Running) {
    drop(actor.child().stdin.take());
    assert!(actor.wait(LIMIT).success(), "the actor ends well");
}

fn exit_with_open_sockets(hook: Hook, name: &str) {
    scenario(hook, name, |ports| {
        let listener = listen(ports.listen(Family::V4));
        let mut client = actor("connect", ports.connect(Family::V4));
        let server = accept(&listener);
        exit(&mut client);
        read_end(&server);
        drop((server, listener));
        vec![path(LISTENER), path(CLIENT_FIRST).of(client.pid()), path(SERVER_SECOND)]
    });
}

fn killed_with_open_sockets(hook: Hook, name: &str) {
    scenario(hook, name, |ports| {
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

/// A child inherits the listener's owner, who is not the process that happens to run when the child is born:
/// here the client's, on whose back loopback delivers the packets.
fn listener_of_another_process(hook: Hook, name: &str) {
    scenario(hook, name, |ports| {
        let mut server = actor("listen", ports.listen(Family::V4));
        let client = connect(ports.connect(Family::V4));
        exit(&mut server);
        drop(client);
        vec![
            path(LISTENER).of(server.pid()),
            path("CLOSE SYN_SENT! ESTABLISHED CLOSE/104"),
            path("LISTEN SYN_RECV ESTABLISHED CLOSE/0").of(server.pid()),
        ]
    });
}
