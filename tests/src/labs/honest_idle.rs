//! Connections without traffic whose client exists, or whose server detects its absence by itself.

use std::{
    io::{Read as _, Write as _},
    net::SocketAddr,
    sync::OnceLock,
    time::Duration,
};

use socket2::{SockRef, TcpKeepalive};

use super::{
    Situation, child, here, honest,
    options::deafen,
    there,
    tools::{
        self, answer_all, ask, ask_once, at_once, connect, connect_many, every, forever, local, pause, port,
        read_to_end, ready, remote, server,
    },
};
use crate::process::tool;

pub(super) const ALL: &[Situation] = &[
    honest("idle_pool_beside_busy_connections", &[here("server", answers), there("client", pool)]),
    honest("pool_that_grows", &[here("server", answers), there("client", growing_pool)]),
    honest("nat_with_many_clients", &[here("server", answers), there("nat", nat)]),
    honest("keep_alive_with_75_s_idle", &[here("server", keeps_alive), there("browser", browser)]),
    honest("gone_clients_with_keepalive", &[here("server", probes), there("client", deaf)]),
    honest("idle_ssh_session", &[here("sshd", answers), there("ssh", idle)]),
    honest("websocket_with_pings", &[here("server", answers), there("client", pings)]),
    honest("long_poll", &[here("server", thinks), there("client", polls)]),
    honest(
        "killed_clients_with_nothing_outstanding",
        &[here("server", answers), there("starter", kills), child("client", idle_many)],
    ),
    honest(
        "ss_kills_an_idle_connection",
        &[here("server", answers), here("client", idle_many_here), here("operator", ss_kill)],
    ),
];

fn answers() {
    server(answer_all);
}

fn pool() {
    let idle = connect_many(remote(), 20);
    let mut busy = connect_many(remote(), 5);
    ready();
    every(500, || {
        busy.iter_mut().for_each(ask);
        assert_eq!(idle.len(), 20, "they stay");
    });
}

fn growing_pool() {
    let mut all = connect_many(remote(), 10);
    ready();
    every(5_000, || {
        all.push(connect(remote()));
        all.iter_mut().rev().take(3).for_each(ask);
    });
}

/// Clients behind one address: some silent, some busy, some new.
fn nat() {
    let mut all = connect_many(remote(), 30);
    ready();
    every(1_000, || {
        all.iter_mut().skip(15).for_each(ask);
        ask_once(remote());
    });
}

/// Keeps connections alive for as long as web servers do by default.
fn keeps_alive() {
    server(|stream| {
        stream.set_read_timeout(Some(Duration::from_secs(75))).expect("SO_RCVTIMEO");
        answer_all(stream);
    });
}

/// Connects again after the server has closed.
fn browser() {
    ready();
    at_once(0..12, |_| {
        loop {
            let mut stream = connect(remote());
            ask(&mut stream);
            read_to_end(&mut stream);
        }
    });
}

fn probes() {
    let often = TcpKeepalive::new().with_time(Duration::from_secs(20)).with_interval(Duration::from_secs(5));
    let _ = OFTEN.set(often);
    server(|stream| {
        let keepalive = OFTEN.get().expect("set before");
        SockRef::from(&stream).set_tcp_keepalive(keepalive).expect("SO_KEEPALIVE");
        answer_all(stream);
    });
}

static OFTEN: OnceLock<TcpKeepalive> = OnceLock::new();

fn deaf() {
    let mut all = connect_many(remote(), 8);
    all.iter_mut().for_each(ask);
    all.iter().for_each(deafen);
    ready();
    every(1_000, || ask_once(remote()));
}

fn idle() {
    let mut session = connect(remote());
    ask(&mut session);
    ready();
    forever();
}

fn pings() {
    let mut all = connect_many(remote(), 10);
    ready();
    every(20_000, || all.iter_mut().for_each(ask));
}

fn thinks() {
    server(|mut stream| {
        let mut request = [0; 100];
        while stream.read_exact(&mut request).is_ok() {
            pause(25_000);
            if stream.write_all(&[0; 1_000]).is_err() {
                return;
            }
        }
    });
}

fn polls() {
    let all = connect_many(remote(), 10);
    ready();
    at_once(all, |mut stream| {
        loop {
            ask(&mut stream);
        }
    });
}

fn kills() {
    ready();
    every(12_000, || {
        let client = tools::child("client", None);
        pause(6_000);
        // The drop kills the client by SIGKILL.
        drop(client);
    });
}

fn idle_many() {
    idle_at(remote());
}

fn idle_many_here() {
    idle_at(local());
}

fn idle_at(server: SocketAddr) {
    let mut all = connect_many(server, 10);
    all.iter_mut().for_each(ask);
    ready();
    forever();
}

fn ss_kill() {
    ready();
    pause(10_000);
    let port = format!(":{}", port());
    tool("ss", ["--kill", "--tcp", "state", "established", "dport", "=", &port]);
    forever();
}
