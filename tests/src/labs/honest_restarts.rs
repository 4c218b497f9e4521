//! Servers that end and start again.

use std::{
    env, fs,
    io::{ErrorKind, Read as _},
    net::TcpStream,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::{
    Situation, child, here, honest, there,
    tools::{
        self, answer_once, any, ask, ask_once, bound, connect, every, forever, inherited, listen, local,
        pause, read_to_end, ready, remote, serve_behind,
    },
};

pub(super) const ALL: &[Situation] = &[
    honest(
        "graceful_restart_with_a_handed_over_listener",
        &[here("master", hands_over), there("clients", ask_often), child("worker", serves_for_a_while)],
    ),
    honest("restart_in_time_wait", &[here("server", restarts)]),
    honest("restart_that_waits_for_the_old_one", &[here("new", retries), here("old", gives_way)]),
    honest(
        "update_that_removed_the_running_program",
        &[here("installer", updates), there("clients", ask_often), child("outdated", serves)],
    ),
    honest("service_that_starts_late", &[here("client", asks_early), here("server", starts_late)]),
];

/// Gives the listener to the next worker before the last one ends.
fn hands_over() {
    let listener = listen(any(), 64);
    ready();
    let mut workers = Vec::new();
    every(10_000, || {
        workers.push(tools::child("worker", Some(&listener)));
        for worker in &mut workers {
            let _ = worker.child().try_wait().expect("a child");
        }
    });
}

fn serves_for_a_while() {
    let (listener, start) = (inherited(), Instant::now());
    ready();
    while start.elapsed() < Duration::from_secs(12) {
        answer_once(listener.accept().expect("accept").0);
    }
    std::process::exit(0);
}

fn ask_often() {
    ready();
    every(200, || ask_once(remote()));
}

/// Listens again while its connections are in TIME_WAIT, which `SO_REUSEADDR` permits.
fn restarts() {
    ready();
    every(2_000, || {
        let listener = listen(any(), 16);
        for _ in 0..3 {
            let mut client = connect(local());
            drop(listener.accept().expect("accept"));
            read_to_end(&mut client);
        }
    });
}

/// Binds beside the old process, which still listens for a moment.
fn retries() {
    let socket = bound(any());
    ready();
    pause(10_000);
    loop {
        match socket.listen(16) {
            Ok(()) => break,
            Err(error) if error.kind() == ErrorKind::AddrInUse => pause(300),
            Err(error) => panic!("listen: {error}"),
        }
    }
    serve_behind(socket.into(), answer_once);
    every(500, || ask_once(local()));
}

fn gives_way() {
    let listener = listen(any(), 16);
    ready();
    pause(10_700);
    drop(listener);
    forever();
}

/// A reverse proxy that starts before its backend: one or two attempts are refused.
fn asks_early() {
    ready();
    pause(10_000);
    every(1_000, || {
        if let Ok(mut stream) = TcpStream::connect(local()) {
            ask(&mut stream);
        }
    });
}

fn starts_late() {
    let socket = bound(any());
    ready();
    pause(10_500);
    socket.listen(16).expect("listen");
    tools::serve(&socket.into(), answer_once);
}

/// Runs a program whose file has been replaced by a new one.
fn updates() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("outdated");
    fs::copy(env::current_exe().expect("its path"), &program).expect("a copy");
    let mut outdated = tools::play(Command::new(&program), "outdated").stdout(Stdio::piped()).spawn();
    let outdated = outdated.as_mut().expect("a child");
    outdated.stdout.as_mut().expect("a pipe").read_exact(&mut [0]).expect("it is ready");
    fs::remove_file(&program).expect("it was there");
    ready();
    forever();
}

fn serves() {
    tools::server(answer_once);
}
