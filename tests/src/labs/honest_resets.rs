//! Resets without loss of data, and other short ends.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr},
};

use socket2::{Domain, Socket, Type};

use super::{
    Situation, here, honest,
    options::abort,
    there,
    tools::{
        answer_all, answer_once, ask, connect, every, listen, local, port, read_to_end, ready, remote,
        request, serve, server,
    },
};

pub(super) const ALL: &[Situation] = &[
    honest("health_checks_by_linger_zero", &[here("server", answers), there("checker", connects_and_aborts)]),
    honest("health_checks_that_connect_and_close", &[here("server", answers), there("checker", connects)]),
    honest(
        "load_generator_that_ends_by_reset",
        &[here("server", answers), there("generator", asks_and_aborts)],
    ),
    honest(
        "proxy_that_resets_upstream_after_the_answer",
        &[here("upstream", answers), here("proxy", proxies), there("client", asks_the_proxy)],
    ),
    honest(
        "server_that_resets_after_the_end",
        &[here("server", ends_by_reset), there("client", asks_and_ends)],
    ),
    honest("server_that_declines_politely", &[here("server", declines), there("client", is_declined)]),
    honest("connects_cancelled_at_once", &[here("server", answers), there("client", cancels)]),
];

fn answers() {
    server(answer_all);
}

fn connects_and_aborts() {
    ready();
    every(200, || abort(connect(remote())));
}

fn connects() {
    ready();
    every(200, || drop(connect(remote())));
}

fn asks_and_aborts() {
    ready();
    every(100, || {
        let mut stream = connect(remote());
        ask(&mut stream);
        abort(stream);
    });
}

/// The address on which the proxy listens.
fn proxy() -> SocketAddr {
    SocketAddr::new(remote().ip(), port() + 1)
}

fn proxies() {
    let listener = listen(proxy(), 64);
    ready();
    serve(&listener, |mut client| {
        let mut bytes = [0; 1_000];
        while client.read_exact(&mut bytes[..100]).is_ok() {
            let mut upstream = connect(local());
            ask(&mut upstream);
            abort(upstream);
            client.write_all(&bytes).expect("the answer");
        }
    });
}

fn asks_the_proxy() {
    let mut stream = connect(proxy());
    ready();
    every(100, || ask(&mut stream));
}

fn ends_by_reset() {
    server(|mut stream| {
        answer_once(stream.try_clone().expect("a copy"));
        read_to_end(&mut stream);
        abort(stream);
    });
}

fn asks_and_ends() {
    ready();
    every(200, || {
        let mut stream = connect(remote());
        ask(&mut stream);
        stream.shutdown(Shutdown::Write).expect("shutdown");
        read_to_end(&mut stream);
    });
}

/// Declines clients: it sends the reason, and closes.
fn declines() {
    server(|mut stream| {
        stream.write_all(&[0; 30]).expect("the reason");
        stream.shutdown(Shutdown::Write).expect("shutdown");
        read_to_end(&mut stream);
    });
}

fn is_declined() {
    ready();
    every(200, || {
        let mut stream = connect(remote());
        read_to_end(&mut stream);
    });
}

/// Cancels a connection attempt, since another attempt was faster.
fn cancels() {
    ready();
    every(200, || {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_nonblocking(true).expect("O_NONBLOCK");
        let _ = socket.connect(&remote().into());
        drop(socket);
        let mut winner = connect(remote());
        request(&mut winner);
        winner.read_exact(&mut [0; 1_000]).expect("the answer");
    });
}
