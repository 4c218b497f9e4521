//! Listeners whose clients wait only for moments.

use std::{os::fd::AsFd as _, time::Duration};

use rustix::event::{PollFd, PollFlags, poll};

use super::{
    Situation, child, here, honest,
    options::defer_accept,
    there,
    tools::{
        self, answer_all, answer_once, any, ask, ask_once, connect, connect_many, every, inherited, listen,
        listen_shared, local, pause, ready, remote, serve,
    },
};

pub(super) const ALL: &[Situation] = &[
    honest("burst_of_200_clients", &[here("server", accepts_bursts), there("clients", bursts)]),
    honest("backlog_zero_and_three_clients", &[here("server", backlog_zero), there("clients", three)]),
    honest("clients_that_defer_accept_waits_for", &[here("server", defers), there("clients", talk_late)]),
    honest("slow_accept_that_keeps_up", &[here("server", accepts_slowly), there("clients", twice_a_second)]),
    honest("accept_with_pauses", &[here("server", pauses), there("clients", twice_a_second)]),
    honest(
        "socket_activation_within_2_s",
        &[here("systemd", activates), there("client", now_and_then), child("service", serves_one)],
    ),
    honest(
        "preforked_workers",
        &[here("master", forks), there("clients", many), child("worker", accepts_inherited)],
    ),
    honest(
        "reuseport_workers",
        &[
            here("worker1", shares),
            here("worker2", shares),
            here("worker3", shares),
            here("worker4", shares),
            there("clients", many),
        ],
    ),
    honest("listener_that_is_closed_at_once", &[here("tester", opens_and_closes)]),
    honest("one_shot_clients", &[here("named", one_shot_server), there("resolver", many)]),
];

fn accepts_bursts() {
    let listener = listen(any(), 512);
    ready();
    serve(&listener, answer_all);
}

fn bursts() {
    ready();
    every(20_000, || {
        let mut all = connect_many(remote(), 200);
        all.iter_mut().for_each(ask);
    });
}

fn backlog_zero() {
    let listener = listen(any(), 0);
    ready();
    serve(&listener, answer_all);
}

fn three() {
    ready();
    every(4_000, || {
        let mut all = Vec::new();
        for _ in 0..3 {
            all.push(connect(remote()));
            pause(800);
        }
        all.iter_mut().for_each(ask);
    });
}

fn defers() {
    let listener = listen(any(), 1_024);
    defer_accept(&listener, 60);
    ready();
    serve(&listener, answer_all);
}

/// Makes connections and sends nothing for a while. Each is established on the client's side.
fn talk_late() {
    ready();
    every(30_000, || {
        let mut all = connect_many(remote(), 150);
        pause(20_000);
        all.iter_mut().for_each(ask);
    });
}

fn accepts_slowly() {
    let listener = listen(any(), 16);
    ready();
    every(300, || answer_once(listener.accept().expect("accept").0));
}

fn twice_a_second() {
    ready();
    every(500, || ask_once(remote()));
}

/// Pauses for three seconds at intervals, as for other work.
fn pauses() {
    let listener = listen(any(), 64);
    ready();
    loop {
        for _ in 0..24 {
            answer_once(listener.accept().expect("accept").0);
        }
        pause(3_000);
    }
}

/// Starts the service once a client is there. The service takes some time to start.
fn activates() {
    let listener = listen(any(), 64);
    ready();
    loop {
        poll(&mut [PollFd::new(&listener.as_fd(), PollFlags::IN)], None).expect("poll");
        pause(1_500);
        tools::child("service", Some(&listener)).wait(Duration::from_secs(20));
    }
}

fn serves_one() {
    ready();
    answer_once(inherited().accept().expect("accept").0);
    std::process::exit(0);
}

fn now_and_then() {
    ready();
    every(6_000, || ask_once(remote()));
}

fn forks() {
    let listener = listen(any(), 64);
    let _workers: Vec<_> = (0..8).map(|_| tools::child("worker", Some(&listener))).collect();
    ready();
    tools::forever();
}

fn accepts_inherited() {
    let listener = inherited();
    ready();
    loop {
        answer_once(listener.accept().expect("accept").0);
    }
}

fn shares() {
    let listener = listen_shared(any(), 64);
    ready();
    loop {
        answer_once(listener.accept().expect("accept").0);
    }
}

fn many() {
    ready();
    every(100, || ask_once(remote()));
}

fn opens_and_closes() {
    ready();
    every(500, || drop(listen(local(), 16)));
}

fn one_shot_server() {
    tools::server(answer_once);
}
