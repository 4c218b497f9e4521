//! Listeners that are too slow, cannot listen, or should not exist.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    thread,
    time::Duration,
};

use nix::sys::resource::{Resource, setrlimit};

use super::{
    Situation, fault, fault_at, here, there,
    tools::{
        answer_all, answer_once, any, at, bound, every, forever, listen, local, pause, ready, remote, serve,
    },
};
use crate::{
    netns::{V4, sysctl},
    process::tool,
    syn,
};

pub(super) const ALL: &[Situation] = &[
    fault(
        "accept_that_is_too_slow",
        "accept-queue-overflow",
        "server",
        &[here("server", accepts_too_slowly), there("clients", push)],
    ),
    fault(
        "accept_that_is_too_slow_for_local_clients",
        "accept-queue-overflow",
        "server",
        &[here("server", accepts_too_slowly), here("clients", push_here)],
    ),
    fault(
        "queue_that_overflows_between_scans",
        "accept-queue-overflow",
        "server",
        &[here("server", accepts_in_intervals), there("clients", bursts)],
    ),
    fault(
        "overflow_by_reset",
        "accept-queue-overflow",
        "server",
        &[here("server", aborts_on_overflow), there("clients", push)],
    ),
    fault(
        "server_without_descriptors",
        "accept-queue-overflow",
        "server",
        &[here("server", runs_out_of_descriptors), there("clients", push)],
    ),
    fault_at(
        "192.0.2.1:",
        "syn_flood",
        "syn-flood",
        "victim",
        &[here("victim", is_flooded), here("flooder", floods)],
    ),
    fault(
        "port_that_is_taken",
        "address-in-use",
        "second",
        &[here("second", cannot_listen), here("first", listens)],
    ),
    fault(
        "listener_that_nobody_expects",
        "unexpected-listener",
        "backdoor",
        &[here("backdoor", listens_hidden)],
    ),
];

fn accepts_too_slowly() {
    let listener = listen(any(), 4);
    ready();
    every(1_000, || answer_once(listener.accept().expect("accept").0));
}

/// Makes eight connections a second, each with a limit of eight seconds.
fn push() {
    push_to(remote());
}

fn push_here() {
    push_to(local());
}

fn push_to(address: std::net::SocketAddr) {
    ready();
    every(125, || {
        thread::spawn(move || {
            let limit = Duration::from_secs(8);
            let Ok(mut stream) = TcpStream::connect_timeout(&address, limit) else { return };
            stream.set_read_timeout(Some(limit)).expect("SO_RCVTIMEO");
            // The connection may be reset.
            let _ = stream.write_all(&[0; super::tools::REQUEST]);
            let _ = stream.read_exact(&mut [0; 1_000]);
        });
    });
}

/// Accepts quickly, with pauses of half a second during which many clients come.
fn accepts_in_intervals() {
    let listener = listen(any(), 8);
    ready();
    for turn in 1.. {
        answer_once(listener.accept().expect("accept").0);
        pause(20);
        assert!(turn < 100 || overflows() > 0, "the queue overflows");
    }
}

/// The number of queue overflows in this namespace.
fn overflows() -> u64 {
    let counters = fs::read_to_string("/proc/thread-self/net/netstat").expect("counters");
    let mut lines = counters.lines().filter(|line| line.starts_with("TcpExt:"));
    let (names, values) = (lines.next().expect("names"), lines.next().expect("values"));
    let mut both = names.split(' ').zip(values.split(' '));
    let (_, value) = both.find(|(name, _)| *name == "ListenOverflows").expect("it is counted");
    value.parse().expect("a number")
}

fn bursts() {
    ready();
    every(7_000, || {
        let burst = (0..40).map(|_| thread::spawn(|| super::tools::ask_once(remote())));
        let burst: Vec<_> = burst.collect();
        for client in burst {
            client.join().expect("served in the end");
        }
    });
}

fn aborts_on_overflow() {
    sysctl("net/ipv4/tcp_abort_on_overflow", "1");
    accepts_too_slowly();
}

/// Leaks descriptors: it never closes its files.
fn runs_out_of_descriptors() {
    let listener = listen(any(), 4);
    setrlimit(Resource::RLIMIT_NOFILE, 16, 16).expect("RLIMIT_NOFILE");
    let mut files = Vec::new();
    while let Ok(file) = fs::File::open("/dev/null") {
        files.push(file);
    }
    ready();
    loop {
        listener.accept().expect_err("no descriptor");
        pause(100);
    }
}

fn is_flooded() {
    tool("ip", ["route", "add", "203.0.113.0/24", "dev", "lo"]);
    sysctl("net/ipv4/tcp_syncookies", "0");
    sysctl("net/ipv4/tcp_max_syn_backlog", "256");
    let listener = listen(any(), 1_000);
    ready();
    serve(&listener, answer_all);
}

fn floods() {
    ready();
    pause(5_000);
    every(20_000, || syn::flood(local(), 600));
}

/// Binds before the other process listens, so that `listen()` is the call that fails.
fn cannot_listen() {
    let socket = bound(any());
    ready();
    pause(3_000);
    every(5_000, || drop(socket.listen(16).expect_err("somebody listens there")));
}

fn listens() {
    let listener = listen(any(), 16);
    ready();
    serve(&listener, answer_all);
}

fn listens_hidden() {
    let _listener = listen(at(V4, 31_337), 16);
    ready();
    forever();
}
