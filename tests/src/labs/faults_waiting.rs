//! Connections that wait, although no queue is full and no process has ended.

use std::{io::Write as _, net::TcpStream, thread};

use nix::sys::signal::{Signal, raise};

use super::{
    Situation, child, fault, here,
    options::small_buffers,
    there,
    tools::{
        self, answer_all, answer_once, any, at_once, connect, connect_many, forever, inherited, listen,
        listen_shared, pause, ready, remote, request, serve, server,
    },
};

pub(super) const ALL: &[Situation] = &[
    fault(
        "server_that_does_not_accept",
        "nobody-accepts",
        "server",
        &[here("server", never_accepts), there("clients", wait_with_requests)],
    )
    .after("nobody-accepts", "age_s"),
    fault(
        "stopped_server",
        "nobody-accepts",
        "server",
        &[here("server", stops), there("clients", wait_with_requests)],
    )
    .after("nobody-accepts", "age_s"),
    fault(
        "one_stuck_worker_of_reuseport",
        "nobody-accepts",
        "stuck",
        &[
            here("healthy1", shares),
            here("healthy2", shares),
            here("stuck", shares_and_hangs),
            there("clients", come),
        ],
    )
    .after("nobody-accepts", "age_s"),
    fault(
        "preforked_workers_that_all_hang",
        "nobody-accepts",
        "master",
        &[here("master", forks), there("clients", wait_with_requests), child("worker", hangs)],
    )
    .after("nobody-accepts", "age_s"),
    fault(
        "reader_that_does_not_read",
        "stalled",
        "reader",
        &[here("reader", does_not_read), there("sender", sends)],
    )
    .after("stalled", "age_s"),
    fault(
        "requests_that_nobody_reads",
        "stalled",
        "server",
        &[here("server", does_not_read), there("clients", wait_with_requests)],
    )
    .after("stalled", "age_s"),
];

fn never_accepts() {
    let _listener = listen(any(), 511);
    ready();
    forever();
}

fn wait_with_requests() {
    ready();
    pause(2_000);
    let mut all = connect_many(remote(), 12);
    all.iter_mut().for_each(request);
    forever();
}

fn stops() {
    let listener = listen(any(), 511);
    ready();
    thread::spawn(move || serve(&listener, answer_all));
    pause(500);
    raise(Signal::SIGSTOP).expect("SIGSTOP");
}

fn shares() {
    let listener = listen_shared(any(), 64);
    ready();
    serve(&listener, answer_once);
}

fn shares_and_hangs() {
    let _listener = listen_shared(any(), 64);
    ready();
    forever();
}

/// Makes connections. Some go to the worker that hangs, and wait there.
fn come() {
    ready();
    at_once(0..30, |_| tools::ask_once(remote()));
}

fn forks() {
    let listener = listen(any(), 128);
    let _workers: Vec<_> = (0..3).map(|_| tools::child("worker", Some(&listener))).collect();
    ready();
    forever();
}

fn hangs() {
    let _listener = inherited();
    ready();
    forever();
}

/// Accepts, and reads nothing.
fn does_not_read() {
    server(|stream| {
        small_buffers(&stream);
        let _stream: TcpStream = stream;
        forever();
    });
}

fn sends() {
    ready();
    pause(2_000);
    at_once(0..6, |_| {
        let mut stream = connect(remote());
        small_buffers(&stream);
        while stream.write_all(&vec![0; 65_536]).is_ok() {}
    });
}
