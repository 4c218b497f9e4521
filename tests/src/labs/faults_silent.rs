//! Connections whose client has disappeared, or whose requests are reset.

use std::io::{Read as _, Write as _};

use super::{
    Situation, fault, fault_at, here,
    options::{deafen, vanish},
    there,
    tools::{
        answer_all, any, ask, connect, connect_many, every, listen, pause, read_to_end, ready, remote,
        request, server,
    },
};

pub(super) const ALL: &[Situation] = &[
    fault_at(
        "198.51.100.",
        "clients_that_vanished_and_came_back",
        "phantom-established",
        "server",
        &[here("server", answers), there("client", comes_back)],
    )
    .after("phantom-established", "idle_s"),
    fault_at(
        "198.51.100.",
        "clients_that_hear_nothing",
        "phantom-established",
        "server",
        &[here("server", pushes), there("client", hears_nothing)],
    )
    .after("phantom-established", "unanswered_s"),
    fault(
        "server_that_resets_instead_of_answering",
        "reset-storm",
        "server",
        &[here("server", resets_unread), there("client", asks_in_vain)],
    ),
];

/// The number of clients of a listener.
const MANY: usize = 8;

fn answers() {
    server(answer_all);
}

/// A client that repeatedly loses its connection without a packet, and comes back with a new one.
fn comes_back() {
    let come_and_vanish = || {
        let mut stream = connect(remote());
        ask(&mut stream);
        // The pause lasts until the response is acknowledged.
        pause(500);
        vanish(stream);
    };
    come_and_vanish();
    ready();
    // By then the watch has begun, and a scan has shown the client with one connection.
    pause(14_000);
    // Slower than the scans of the host, so that each return is seen.
    every(20_000, come_and_vanish);
}

/// Sends data every few seconds, whether its clients receive it or not.
fn pushes() {
    server(|mut stream| {
        // The pause lasts until its clients drop packets: they would have to read what arrives before.
        pause(2_000);
        while stream.write_all(&[0; 100]).is_ok() {
            pause(5_000);
        }
    });
}

/// Receives nothing, as behind a broken path. One client still works.
fn hears_nothing() {
    let all = connect_many(remote(), MANY);
    all.iter().for_each(deafen);
    let mut there = connect(remote());
    ready();
    read_to_end(&mut there);
}

/// Closes while the request is unread.
fn resets_unread() {
    let listener = listen(any(), 64);
    ready();
    loop {
        let (stream, _) = listener.accept().expect("accept");
        stream.peek(&mut [0]).expect("the request");
    }
}

fn asks_in_vain() {
    ready();
    every(500, || {
        let mut stream = connect(remote());
        request(&mut stream);
        assert!(stream.read(&mut [0]).is_err(), "a reset");
    });
}
