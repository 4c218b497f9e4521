//! Connections that close slowly or in an unusual way, but do close.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream},
    os::fd::AsFd as _,
};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use super::{
    Situation, child, here, honest,
    options::{deafen, hear, small_buffers, vanish},
    there,
    tools::{
        self, answer_all, any, ask, at_once, connect, connect_many, every, forever, listen, local, pairs,
        pause, read_to_end, ready, remote, server,
    },
};
use crate::netns::sysctl;

pub(super) const ALL: &[Situation] = &[
    honest("half_close_and_a_long_stream", &[here("server", streams), there("client", half_closes)]),
    honest(
        "slow_stream_to_half_closed_clients",
        &[here("server", streams_slowly), there("client", half_closes)],
    ),
    honest(
        "fin_wait2_on_which_the_peer_sends",
        &[here("server", streams), there("client", half_closes_soon)],
    ),
    honest("orphaned_fin_wait2_that_ends", &[here("server", closes_late), there("client", leaves)]),
    honest("simultaneous_close", &[here("both", closes_at_once)]),
    honest("close_under_tcp_repair", &[here("criu", repairs)]),
    honest(
        "inherited_by_a_sleeping_child",
        &[here("server", leaks_into_child), there("client", asks), child("sleeper", forever_ready)],
    ),
    honest("close_wait_for_moments", &[here("server", lingers), there("client", comes_and_goes)]),
    honest(
        "close_with_a_full_send_buffer",
        &[here("server", sends_and_closes), there("client", reads_slowly)],
    ),
];

fn stream_at(ms: u64, mut stream: TcpStream) {
    while stream.write_all(&[0; 1_000]).is_ok() {
        pause(ms);
    }
}

fn streams() {
    server(|stream| stream_at(200, stream));
}

fn streams_slowly() {
    server(|stream| stream_at(4_000, stream));
}

fn half_closes() {
    let all = connect_many(remote(), 8);
    for stream in &all {
        stream.shutdown(Shutdown::Write).expect("shutdown");
    }
    ready();
    at_once(all, |mut stream| read_to_end(&mut stream));
}

fn half_closes_soon() {
    sysctl("net/ipv4/tcp_fin_timeout", "5");
    half_closes();
}

/// Closes after its client's wait has ended, and before the connection would count as a leak.
fn closes_late() {
    server(|mut stream| {
        read_to_end(&mut stream);
        pause(7_000);
    });
}

fn leaves() {
    sysctl("net/ipv4/tcp_fin_timeout", "5");
    ready();
    every(10_000, || drop(connect_many(remote(), 8)));
}

fn closes_at_once() {
    let listener = listen(any(), 16);
    ready();
    every(500, || {
        let [(client, server)] = &mut pairs(&listener, local(), 1)[..] else { panic!("one") };
        for end in [&client, &server] {
            deafen(end);
        }
        for end in [&client, &server] {
            end.shutdown(Shutdown::Write).expect("shutdown");
        }
        for end in [client, server] {
            hear(end);
            read_to_end(end);
        }
    });
}

/// Closes connections as a checkpoint does, without a packet. The other ends close later.
fn repairs() {
    let listener = listen(any(), 64);
    let (clients, servers): (Vec<_>, Vec<_>) = pairs(&listener, local(), 30).into_iter().unzip();
    ready();
    pause(5_000);
    clients.into_iter().for_each(vanish);
    pause(3_000);
    drop(servers);
    forever();
}

/// Leaves copies of its connections to a helper. The connections are in use.
fn leaks_into_child() {
    let listener = listen(any(), 16);
    ready();
    let streams: Vec<TcpStream> = (0..5).map(|_| listener.accept().expect("accept").0).collect();
    for stream in &streams {
        fcntl(stream.as_fd(), FcntlArg::F_SETFD(FdFlag::empty())).expect("FD_CLOEXEC");
    }
    let _sleeper = tools::child("sleeper", None);
    at_once(streams, answer_all);
}

fn forever_ready() {
    ready();
}

fn asks() {
    let mut all = connect_many(remote(), 5);
    ready();
    every(1_000, || all.iter_mut().for_each(ask));
}

fn lingers() {
    server(|stream| {
        answer_all(stream.try_clone().expect("a copy"));
        pause(700);
        drop(stream);
    });
}

fn comes_and_goes() {
    ready();
    every(150, || tools::ask_once(remote()));
}

/// Closes with data to send. FIN_WAIT1 lasts until the data is sent.
fn sends_and_closes() {
    server(|mut stream| {
        small_buffers(&stream);
        let _ = stream.write_all(&vec![0; 400_000]);
    });
}

fn reads_slowly() {
    ready();
    at_once(0..6, |_| {
        loop {
            let mut stream = connect(remote());
            small_buffers(&stream);
            let mut bytes = [0; 4_096];
            while stream.read(&mut bytes).is_ok_and(|count| count > 0) {
                pause(150);
            }
        }
    });
}
