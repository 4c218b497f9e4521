//! Timeouts.

use std::time::Duration;

use nix::errno::Errno;
use socket2::TcpKeepalive;
use tcptrace_tests::{
    expect::path,
    fixture::scenario,
    net::{Family, deafen, hear, listen, pair, read_error},
    steps,
};

use super::LISTENER;

/// The listener drops the SYNs: one retry, three seconds.
#[test]
fn connect_timeout() {
    scenario("connect_timeout", |ports| {
        steps::connect_timeout(ports);
        vec![path(LISTENER), path("CLOSE SYN_SENT! CLOSE/110")]
    });
}

/// No host on the link has the address.
#[test]
fn host_unreachable() {
    scenario("host_unreachable", |ports| {
        steps::host_unreachable(ports);
        vec![path("CLOSE SYN_SENT! CLOSE/113")]
    });
}

/// The server falls silent; the client's probes detect that. The server learns it when it closes.
#[test]
fn keepalive_timeout() {
    scenario("keepalive_timeout", |ports| {
        let listener = listen(ports.listen(Family::V4));
        let (client, server) = pair(&listener, ports.connect(Family::V4));
        deafen(&server);
        let second = Duration::from_secs(1);
        let probes = TcpKeepalive::new().with_time(second).with_interval(second).with_retries(1);
        client.set_tcp_keepalive(&probes).expect("SO_KEEPALIVE");
        assert_eq!(read_error(&client), Errno::ETIMEDOUT as i32);
        hear(&server);
        drop((server, client, listener));
        vec![
            path(LISTENER),
            path("CLOSE SYN_SENT! ESTABLISHED CLOSE/110"),
            path("LISTEN SYN_RECV ESTABLISHED FIN_WAIT1! CLOSE/104"),
        ]
    });
}

/// The client's data is never acknowledged.
#[test]
fn user_timeout() {
    scenario("user_timeout", |ports| {
        let listener = listen(ports.listen(Family::V4));
        let (client, server) = pair(&listener, ports.connect(Family::V4));
        deafen(&server);
        client.set_tcp_user_timeout(Some(Duration::from_millis(500))).expect("TCP_USER_TIMEOUT");
        client.send(b"x").expect("send");
        assert_eq!(read_error(&client), Errno::ETIMEDOUT as i32);
        hear(&server);
        drop((server, client, listener));
        vec![
            path(LISTENER),
            path("CLOSE SYN_SENT! ESTABLISHED CLOSE/110"),
            path("LISTEN SYN_RECV ESTABLISHED FIN_WAIT1! CLOSE/104"),
        ]
    });
}
