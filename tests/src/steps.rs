//! Steps that several tests use: each from the beginning of its sockets to their end.

use std::{io::Read as _, net::Shutdown};

use nix::errno::Errno;
use socket2::Socket;

use crate::{
    fixture::Ports,
    net::{
        Family, abort, accept, begin_connect, connect_error, deafen, hear, listen, pair, peek, read_end,
        read_error, socket,
    },
    netns::sysctl,
    process::tool,
};

/// Binds two sockets to an address with `SO_REUSEADDR`; only one may listen. Returns both.
pub fn listen_twice(ports: Ports) -> [Socket; 2] {
    let address = ports.listen(Family::V4);
    let both = [(); 2].map(|()| {
        let socket = socket(address);
        socket.bind(&address.into()).expect("bind");
        socket
    });
    both[0].listen(16).expect("listen");
    let error = both[1].listen(16).expect_err("somebody listens there");
    assert_eq!(error.raw_os_error(), Some(Errno::EADDRINUSE as i32));
    both
}

/// Makes a connection that the client closes first, and then the server; returns the listener.
pub fn served(ports: Ports, family: Family) -> Socket {
    let listener = listen(ports.listen(family));
    let (client, server) = pair(&listener, ports.connect(family));
    drop(client);
    read_end(&server);
    listener
}

/// Sends a request of a hundred bytes, and a response of a thousand.
pub fn exchange(client: &Socket, server: &Socket) {
    let mut bytes = [0; 1_000];
    client.send(&bytes[..100]).expect("send");
    (&mut &*server).read_exact(&mut bytes[..100]).expect("the question");
    server.send(&bytes).expect("send");
    (&mut &*client).read_exact(&mut bytes).expect("the answer");
}

/// Makes a connection that the client closes with `SO_LINGER` 0.
pub fn linger_zero(ports: Ports, family: Family) {
    let listener = listen(ports.listen(family));
    let (client, server) = pair(&listener, ports.connect(family));
    abort(client);
    assert_eq!(read_error(&server), Errno::ECONNRESET as i32);
    drop((server, listener));
}

/// Makes a connection that the server closes while data is unread.
pub fn unread_data(ports: Ports) {
    let listener = listen(ports.listen(Family::V4));
    let (client, server) = pair(&listener, ports.connect(Family::V4));
    client.send(b"x").expect("send");
    peek(&server);
    drop(server);
    assert_eq!(read_error(&client), Errno::ECONNRESET as i32);
    drop((client, listener));
}

/// Makes a connection that the server shuts down, and then closes with unread data.
pub fn reset_in_close_wait(ports: Ports) {
    let listener = listen(ports.listen(Family::V4));
    let (client, server) = pair(&listener, ports.connect(Family::V4));
    server.shutdown(Shutdown::Write).expect("shutdown");
    read_end(&client);
    client.send(b"x").expect("send");
    peek(&server);
    drop(server);
    drop((client, listener));
}

/// Ends a connection by `connect()` to `AF_UNSPEC`. The socket stays and connects again.
pub fn disconnect_and_reconnect(ports: Ports) {
    let listener = listen(ports.listen(Family::V4));
    let address = ports.connect(Family::V4);
    let (client, server) = pair(&listener, address);
    rustix::net::connect_unspec(&client).expect("disconnect");
    assert_eq!(read_error(&server), Errno::ECONNRESET as i32);
    client.connect(&address.into()).expect("connect again");
    let again = accept(&listener);
    drop(client);
    read_end(&again);
    drop((server, again, listener));
}

/// Makes a connection whose client socket another process destroys.
pub fn killed_by_ss(ports: Ports) {
    let listener = listen(ports.listen(Family::V4));
    let (client, server) = pair(&listener, ports.connect(Family::V4));
    let port = format!(":{}", ports.port(0));
    tool("ss", ["--kill", "--tcp", "state", "established", "dport", "=", &port]);
    assert_eq!(read_error(&client), Errno::ECONNABORTED as i32);
    assert_eq!(read_error(&server), Errno::ECONNRESET as i32);
    drop((client, server, listener));
}

/// Loses the first FIN of each side. The server then receives the client's second FIN while its own is in flight. The
/// client receives the server's only afterwards, together with the ACK of its own.
pub fn simultaneous_close(ports: Ports) {
    let listener = listen(ports.listen(Family::V4));
    let (client, server) = pair(&listener, ports.connect(Family::V4));
    deafen(&client);
    deafen(&server);
    client.shutdown(Shutdown::Write).expect("shutdown");
    server.shutdown(Shutdown::Write).expect("shutdown");
    hear(&server);
    read_end(&server);
    hear(&client);
    read_end(&client);
    drop((client, server, listener));
}

/// Connects to a listener that drops SYNs: one retry, three seconds.
pub fn connect_timeout(ports: Ports) {
    sysctl("net/ipv4/tcp_syn_retries", "1");
    let listener = listen(ports.listen(Family::V4));
    deafen(&listener);
    assert_eq!(connect_error(ports.connect(Family::V4)), Errno::ETIMEDOUT as i32);
    drop(listener);
}

/// Connects to an address that no host on the link has.
pub fn host_unreachable(ports: Ports) {
    tool("ip", ["link", "add", "veth0", "type", "veth", "peer", "name", "veth1"]);
    tool("ip", ["address", "add", "198.51.100.1/24", "dev", "veth0"]);
    tool("ip", ["link", "set", "veth1", "up"]);
    tool("ip", ["link", "set", "veth0", "up"]);
    sysctl("net/ipv4/neigh/veth0/mcast_solicit", "1");
    sysctl("net/ipv4/neigh/veth0/retrans_time_ms", "100");
    let nobody = ([198, 51, 100, 2], ports.port(0)).into();
    assert_eq!(connect_error(nobody), Errno::EHOSTUNREACH as i32);
}

/// Closes the connecting socket before a reply comes.
pub fn connect_cancelled(ports: Ports) {
    let listener = listen(ports.listen(Family::V4));
    deafen(&listener);
    let address = ports.connect(Family::V4);
    let client = socket(address);
    begin_connect(&client, address);
    drop(client);
    drop(listener);
}
