//! Other ways to open a connection: fast open, and MPTCP.

use tcptrace_tests::{
    expect::path,
    fixture::scenario,
    machine::skip,
    net::{self, Family, accept, listen, mptcp_socket, peek, read_end},
    netns::sysctl,
};

use super::{CLIENT_SECOND, LISTENER, SERVER_FIRST};

/// `MSG_FASTOPEN`, `include/linux/socket.h`.
const MSG_FASTOPEN: i32 = 0x2000_0000;
/// `net.ipv4.tcp_fastopen`: client, server, data without cookie, no cookie required, every listener.
const WITHOUT_COOKIE: &str = "1543";

/// The child exists from the SYN on: its `SYN_RECV` lasts until the client's ACK.
#[test]
fn fast_open() {
    scenario("fast_open", |ports| {
        sysctl("net/ipv4/tcp_fastopen", WITHOUT_COOKIE);
        let listener = listen(ports.listen(Family::V4));
        let address = ports.connect(Family::V4);
        let client = net::socket(address);
        let sent = client.send_to_with_flags(b"x", &address.into(), MSG_FASTOPEN).expect("a SYN with data");
        assert_eq!(sent, 1);
        let mut server = accept(&listener);
        peek(&server);
        std::io::Read::read(&mut server, &mut [0]).expect("the data");
        drop(server);
        read_end(&client);
        drop((client, listener));
        vec![path(LISTENER), path(CLIENT_SECOND), path(SERVER_FIRST)]
    });
}

/// Only the TCP subflows are reported, not the MPTCP sockets above them, nor calls without a change of state.
#[test]
fn mptcp() {
    if let Err(error) = mptcp_socket() {
        skip("mptcp", &format!("no MPTCP: {error}"));
        return;
    }
    scenario("mptcp", |ports| {
        let listener = mptcp_socket().expect("an MPTCP socket");
        listener.bind(&ports.listen(Family::V4).into()).expect("bind");
        listener.listen(16).expect("listen");
        let client = mptcp_socket().expect("an MPTCP socket");
        client.connect(&ports.connect(Family::V4).into()).expect("connect");
        let server = accept(&listener);
        drop(client);
        read_end(&server);
        drop((server, listener));
        vec![
            path(LISTENER),
            // A worker of the kernel closes the sockets that the process left open.
            path("CLOSE SYN_SENT! ESTABLISHED FIN_WAIT1 FIN_WAIT2 CLOSE/0"),
            path("LISTEN SYN_RECV ESTABLISHED CLOSE_WAIT LAST_ACK CLOSE/0"),
        ]
    });
}
