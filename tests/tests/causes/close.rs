//! Ends by FIN.

use std::{mem::MaybeUninit, net::Shutdown, thread::sleep, time::Duration};

use nix::{
    errno::Errno,
    sys::socket::{setsockopt, sockopt::TcpRepair},
};
use tcptrace_tests::{
    close_checks::{end, ends},
    fixture::Ports,
    net::{Family, abort, listen, pair, peek, read_end},
    steps,
};

use super::LISTENER;

fn client_first_by(name: &str, family: Family) {
    ends(name, move |ports| {
        let listener = listen(ports.listen(family));
        let (client, server) = pair(&listener, ports.connect(family));
        drop(client);
        read_end(&server);
        drop((server, listener));
        vec![end(LISTENER), end("client FIN_WAIT2 active_close"), end("server LAST_ACK passive_close")]
    });
}

#[test]
fn client_first() {
    client_first_by("client_first", Family::V4);
}

#[test]
fn client_first_v6() {
    client_first_by("client_first_v6", Family::V6);
}

#[test]
fn server_first() {
    ends("server_first", |ports: Ports| {
        let listener = listen(ports.listen(Family::V4));
        let (client, server) = pair(&listener, ports.connect(Family::V4));
        drop(server);
        read_end(&client);
        drop((client, listener));
        vec![end(LISTENER), end("client LAST_ACK passive_close"), end("server FIN_WAIT2 active_close")]
    });
}

/// The first FIN decides the cause, whichever side sends the last.
#[test]
fn half_closed() {
    ends("half_closed", |ports| {
        let listener = listen(ports.listen(Family::V4));
        let (client, server) = pair(&listener, ports.connect(Family::V4));
        client.shutdown(Shutdown::Write).expect("shutdown");
        read_end(&server);
        sleep(Duration::from_millis(50));
        server.shutdown(Shutdown::Write).expect("shutdown");
        read_end(&client);
        drop((client, server, listener));
        vec![end(LISTENER), end("client FIN_WAIT2 active_close"), end("server LAST_ACK passive_close")]
    });
}

/// Neither side receives the other's FIN before it sends its own. Then the server receives the client's FIN before the
/// acknowledgement of its own.
#[test]
fn simultaneous() {
    ends("simultaneous", |ports| {
        steps::simultaneous_close(ports);
        vec![end(LISTENER), end("client FIN_WAIT2 active_close"), end("server CLOSING simultaneous_close")]
    });
}

/// A close as a checkpoint does it with saved sockets: without a segment, even with unread data, so that the peer goes
/// on.
#[test]
fn under_repair() {
    ends("under_repair", |ports| {
        let listener = listen(ports.listen(Family::V4));
        let (client, server) = pair(&listener, ports.connect(Family::V4));
        server.send(b"x").expect("send");
        peek(&client);
        let before = resets_sent();
        setsockopt(&client, TcpRepair, &1).expect("TCP_REPAIR");
        drop(client);
        assert_eq!(resets_sent(), before, "nothing was sent");
        server.set_nonblocking(true).expect("nonblocking");
        let waits = server.peek(&mut [MaybeUninit::uninit()]).expect_err("nothing came");
        assert_eq!(waits.raw_os_error(), Some(Errno::EAGAIN as i32));
        abort(server);
        drop(listener);
        vec![end(LISTENER), end("client ESTABLISHED repair_close"), end("server ESTABLISHED reset_linger")]
    });
}

/// `TcpOutRsts` of this namespace.
fn resets_sent() -> u64 {
    let snmp = std::fs::read_to_string("/proc/thread-self/net/snmp").expect("counters");
    let mut tcp = snmp.lines().filter_map(|line| line.strip_prefix("Tcp: ")).map(|line| line.split(' '));
    let (mut names, mut values) = (tcp.next().expect("names"), tcp.next().expect("values"));
    let at = names.position(|name| name == "OutRsts").expect("the counter");
    values.nth(at).and_then(|value| value.parse().ok()).expect("a number")
}
