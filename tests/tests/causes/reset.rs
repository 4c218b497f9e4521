//! Ends by reset.

use std::{io::Read as _, net::Shutdown, os::fd::AsFd as _};

use nix::errno::Errno;
use rustix::net::sockopt::set_tcp_quickack;
use tcptrace_tests::{
    close_checks::{end, ends},
    net::{
        Family, abort, bound_to, deafen, hear, listen, pair, peek_end, read_end, read_error, wait_until_gone,
    },
    steps,
};

use super::LISTENER;

#[test]
fn linger_zero() {
    ends("linger_zero", |ports| {
        steps::linger_zero(ports, Family::V4);
        vec![end(LISTENER), end("client ESTABLISHED reset_linger"), end("server ESTABLISHED reset_by_peer")]
    });
}

#[test]
fn unread_data() {
    ends("unread_data", |ports| {
        steps::unread_data(ports);
        vec![end(LISTENER), end("client ESTABLISHED reset_by_peer"), end("server ESTABLISHED reset_unread")]
    });
}

/// `connect()` to `AF_UNSPEC` ends the connection, not the socket: the next connection is another client.
#[test]
fn disconnected() {
    ends("disconnected", |ports| {
        steps::disconnect_and_reconnect(ports);
        vec![
            end(LISTENER),
            end("client ESTABLISHED reset_disconnect"),
            end("server ESTABLISHED reset_by_peer"),
            end("client FIN_WAIT2 active_close"),
            end("server LAST_ACK passive_close"),
        ]
    });
}

#[test]
fn killed_by_ss() {
    ends("killed_by_ss", |ports| {
        steps::killed_by_ss(ports);
        vec![end(LISTENER), end("client ESTABLISHED killed"), end("server ESTABLISHED reset_by_peer")]
    });
}

/// The peer aborts before it acknowledges the FIN.
#[test]
fn in_fin_wait1() {
    ends("in_fin_wait1", |ports| {
        let listener = listen(ports.listen(Family::V4));
        let (client, server) = pair(&listener, ports.connect(Family::V4));
        deafen(&server);
        client.shutdown(Shutdown::Write).expect("shutdown");
        abort(server);
        assert_eq!(read_error(&client), Errno::ECONNRESET as i32);
        drop((client, listener));
        vec![end(LISTENER), end("client FIN_WAIT1 reset_by_peer"), end("server ESTABLISHED reset_linger")]
    });
}

#[test]
fn in_fin_wait2() {
    ends("in_fin_wait2", |ports| {
        let listener = listen(ports.listen(Family::V4));
        let (client, server) = pair(&listener, ports.connect(Family::V4));
        client.shutdown(Shutdown::Write).expect("shutdown");
        read_end(&server);
        abort(server);
        assert_eq!(read_error(&client), Errno::ECONNRESET as i32);
        drop((client, listener));
        vec![
            end(LISTENER),
            end("client FIN_WAIT1|FIN_WAIT2 reset_by_peer"),
            end("server CLOSE_WAIT reset_linger"),
        ]
    });
}

/// The server has closed its side, and does not read the data that still comes.
#[test]
fn in_close_wait() {
    ends("in_close_wait", |ports| {
        steps::reset_in_close_wait(ports);
        vec![end(LISTENER), end("client CLOSE_WAIT reset_by_peer"), end("server FIN_WAIT2 reset_unread")]
    });
}

/// Data arrives for a socket that its program has closed, before the peer knows of the close.
#[test]
fn data_after_close() {
    ends("data_after_close", move |ports| {
        let listener = listen(ports.listen(Family::V4));
        let (client, server) = pair(&listener, ports.connect(Family::V4));
        deafen(&server);
        let port = bound_to(&client).port();
        drop(client);
        server.send(b"x").expect("send");
        wait_until_gone(port);
        hear(&server);
        server.send(b"x").expect("send");
        assert_eq!(read_error(&server), Errno::ECONNRESET as i32);
        drop((server, listener));
        vec![end(LISTENER), end("client FIN_WAIT1 reset_by_kernel"), end("server ESTABLISHED reset_by_peer")]
    });
}

/// As `data_after_close`, with data that acknowledges the FIN: the server sends it before the kernel acknowledges the
/// FIN by itself. The kernel delays that ACK by 40 ms, but only by a tick of the clock on a connection that has received
/// nothing.
#[test]
fn data_with_the_last_ack() {
    ends("data_with_the_last_ack", move |ports| {
        let listener = listen(ports.listen(Family::V4));
        let (client, server) = pair(&listener, ports.connect(Family::V4));
        client.send(b"x").expect("send");
        (&server).read_exact(&mut [0]).expect("what was sent");
        set_tcp_quickack(server.as_fd(), false).expect("TCP_QUICKACK");
        drop(client);
        peek_end(&server);
        server.send(b"x").expect("send");
        drop((server, listener));
        vec![end(LISTENER), end("client FIN_WAIT2 reset_by_kernel"), end("server CLOSE_WAIT reset_by_peer")]
    });
}
