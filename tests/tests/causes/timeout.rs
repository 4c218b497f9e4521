//! Ends by a timeout.

use std::{thread::sleep, time::Duration};

use nix::errno::Errno;
use socket2::{Socket, TcpKeepalive};
use tcptrace_tests::{
    close_checks::{End, end, ends},
    fixture::Ports,
    net::{Family, deafen, hear, listen, pair, read_error},
    netns::sysctl,
};

use super::LISTENER;

/// A server that falls silent, and a client that detects it by the means in `wait`.
fn silence(ports: Ports, wait: impl FnOnce(&Socket)) -> (End, End) {
    let listener = listen(ports.listen(Family::V4));
    let (client, server) = pair(&listener, ports.connect(Family::V4));
    deafen(&server);
    wait(&client);
    assert_eq!(read_error(&client), Errno::ETIMEDOUT as i32);
    // The client's own reset may still be in flight, and must not arrive.
    sleep(Duration::from_millis(100));
    hear(&server);
    drop((server, client, listener));
    // Nothing replies to its FIN until it is reset.
    (end(LISTENER), end("server FIN_WAIT1 reset_by_peer"))
}

#[test]
fn keepalive() {
    ends("keepalive", move |ports| {
        let second = Duration::from_secs(1);
        let probes = TcpKeepalive::new().with_time(second).with_interval(second).with_retries(1);
        let (listener, server) =
            silence(ports, |client| client.set_tcp_keepalive(&probes).expect("SO_KEEPALIVE"));
        vec![listener, server, end("client ESTABLISHED keepalive_timeout")]
    });
}

#[test]
fn user_timeout() {
    ends("user_timeout", move |ports| {
        let (listener, server) = silence(ports, |client| {
            client.set_tcp_user_timeout(Some(Duration::from_millis(500))).expect("TCP_USER_TIMEOUT");
            client.send(b"x").expect("send");
        });
        vec![listener, server, end("client ESTABLISHED user_timeout")]
    });
}

/// As many retransmissions as `net.ipv4.tcp_retries2` allows.
#[test]
fn retransmissions() {
    ends("retransmissions", move |ports| {
        sysctl("net/ipv4/tcp_retries2", "1");
        let (listener, server) = silence(ports, |client| {
            client.send(b"x").expect("send");
        });
        vec![listener, server, end("client ESTABLISHED retransmission_timeout")]
    });
}

/// As `retransmissions`, for the FIN of an orphaned socket: `net.ipv4.tcp_orphan_retries`.
#[test]
fn orphan() {
    ends("orphan", move |ports| {
        sysctl("net/ipv4/tcp_orphan_retries", "1");
        let listener = listen(ports.listen(Family::V4));
        let (client, server) = pair(&listener, ports.connect(Family::V4));
        deafen(&server);
        drop(client);
        sleep(Duration::from_secs(3));
        hear(&server);
        drop((server, listener));
        vec![
            end(LISTENER),
            end("client FIN_WAIT1 retransmission_timeout"),
            end("server FIN_WAIT1 reset_by_peer"),
        ]
    });
}

/// The server reads nothing until its window is closed, and then falls silent.
#[test]
fn window_probes() {
    ends("window_probes", move |ports| {
        sysctl("net/ipv4/tcp_retries2", "3");
        sysctl("net/ipv4/tcp_rmem", "4096 4096 4096");
        let listener = listen(ports.listen(Family::V4));
        let (client, server) = pair(&listener, ports.connect(Family::V4));
        fill(&client);
        // Data in flight arrives, and the first probes are answered.
        sleep(Duration::from_millis(500));
        fill(&client);
        deafen(&server);
        assert_eq!(read_error(&client), Errno::ETIMEDOUT as i32);
        hear(&server);
        drop((server, client, listener));
        vec![
            end(LISTENER),
            end("client ESTABLISHED retransmission_timeout"),
            end("server ESTABLISHED reset_unread"),
        ]
    });
}

/// Sends until the buffers are full.
fn fill(client: &Socket) {
    client.set_nonblocking(true).expect("O_NONBLOCK");
    while client.send(&[0; 4_096]).is_ok() {}
    client.set_nonblocking(false).expect("O_NONBLOCK");
}
