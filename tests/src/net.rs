//! Sockets for the scenarios. Every wait has a limit.

use std::{
    io::{self, Read as _},
    mem::MaybeUninit,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use crate::{
    netns::{V4, V6},
    wait::eventually,
};

const LIMIT: Duration = Duration::from_secs(10);

/// `IPPROTO_MPTCP`, `include/uapi/linux/in.h`.
pub const MPTCP: i32 = 262;

/// The families of a client and its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
    /// An IPv4 client of a server that listens on `::`.
    MappedServer,
    /// An IPv6 socket that connects to an IPv4-mapped address.
    MappedClient,
}

impl Family {
    /// The address on which the server listens.
    pub fn listen(self, port: u16) -> SocketAddr {
        match self {
            Self::V4 | Self::MappedClient => (V4, port).into(),
            Self::V6 => (V6, port).into(),
            Self::MappedServer => (std::net::Ipv6Addr::UNSPECIFIED, port).into(),
        }
    }

    /// The address to which the client connects.
    pub fn connect(self, port: u16) -> SocketAddr {
        match self {
            Self::V4 | Self::MappedServer => (V4, port).into(),
            Self::V6 => (V6, port).into(),
            Self::MappedClient => (V4.to_ipv6_mapped(), port).into(),
        }
    }
}

/// A TCP socket for addresses like `address`.
pub fn socket(address: SocketAddr) -> Socket {
    let socket =
        Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP)).expect("a socket");
    prepare(&socket);
    socket
}

/// An IPv4 MPTCP socket, if the kernel has them.
///
/// # Errors
/// The kernel's error.
pub fn mptcp_socket() -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::from(MPTCP)))?;
    prepare(&socket);
    Ok(socket)
}

fn prepare(socket: &Socket) {
    limit(socket);
    socket.set_reuse_address(true).expect("SO_REUSEADDR");
}

fn limit(socket: &Socket) {
    socket.set_read_timeout(Some(LIMIT)).expect("a time limit");
    socket.set_write_timeout(Some(LIMIT)).expect("a time limit");
}

/// A listening socket.
pub fn listen(address: SocketAddr) -> Socket {
    let listener = socket(address);
    if address.is_ipv6() {
        listener.set_only_v6(!address.ip().is_unspecified()).expect("IPV6_V6ONLY");
    }
    // A program that another test starts has a copy of a descriptor that was just closed here, from its fork() to its
    // exec().
    eventually(&format!("bind to {address}"), || match listener.bind(&address.into()) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => false,
        Err(error) => panic!("bind to {address}: {error}"),
    });
    listener.listen(128).expect("listen");
    listener
}

/// A connected socket.
pub fn connect(address: SocketAddr) -> Socket {
    let client = socket(address);
    client.connect(&address.into()).unwrap_or_else(|error| panic!("connect to {address}: {error}"));
    client
}

/// Connects and returns the errno of the failure.
pub fn connect_error(address: SocketAddr) -> i32 {
    let error = socket(address).connect(&address.into()).expect_err("the connection must fail");
    error.raw_os_error().expect("an errno")
}

/// Begins to connect, without waiting. Later calls on the socket wait again.
pub fn begin_connect(client: &Socket, address: SocketAddr) {
    client.set_nonblocking(true).expect("O_NONBLOCK");
    let error = client.connect(&address.into()).expect_err("the connection takes time");
    assert_eq!(error.raw_os_error(), Some(nix::errno::Errno::EINPROGRESS as i32), "{error}");
    client.set_nonblocking(false).expect("O_NONBLOCK");
}

/// The next accepted connection.
pub fn accept(listener: &Socket) -> Socket {
    let (child, _) = listener.accept().expect("accept");
    limit(&child);
    child
}

/// A connection: client and server end.
pub fn pair(listener: &Socket, address: SocketAddr) -> (Socket, Socket) {
    let client = connect(address);
    (client, accept(listener))
}

/// Waits until a connection can be accepted: the client's side is established earlier than the server's.
pub fn wait_for_child(listener: &Socket) {
    assert!(has_child(listener, LIMIT), "no connection has come");
}

/// Whether a connection can be accepted within this time.
pub fn has_child(listener: &Socket, limit: Duration) -> bool {
    let mut fds = [PollFd::new(listener, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec::try_from(limit).expect("a short time"))).expect("poll");
    fds[0].revents().contains(PollFlags::IN)
}

/// Waits until this namespace has an established IPv4 connection on the local port, seen from its listener.
pub fn wait_for_established(port: u16) {
    let is_established = || states(port).iter().any(|state| state == "01");
    eventually(&format!("a connection to port {port} is established"), is_established);
}

/// Waits until the peer has acknowledged the FIN of this namespace's IPv4 socket with this local port, without having
/// sent one itself. The peer may acknowledge later than it reads the end.
pub fn wait_for_fin_wait2(port: u16) {
    eventually(&format!("the FIN of port {port} is acknowledged"), || states(port) == ["05"]);
}

/// Waits until this namespace has no IPv4 socket with this local port.
pub fn wait_until_gone(port: u16) {
    eventually(&format!("port {port} is free"), || states(port).is_empty());
}

/// The address and port that a socket is bound to.
pub fn bound_to(socket: &Socket) -> SocketAddr {
    socket.local_addr().expect("an address").as_socket().expect("an address of the internet")
}

/// The states of this namespace's IPv4 sockets with this local port, two hexadecimal digits each; proc(5).
fn states(port: u16) -> Vec<String> {
    let table = std::fs::read_to_string("/proc/thread-self/net/tcp").expect("sockets");
    let has_port = |line: &&str| {
        line.split_whitespace().nth(1).is_some_and(|local| local.ends_with(&format!(":{port:04X}")))
    };
    let state = |line: &str| line.split_whitespace().nth(3).map(str::to_owned);
    table.lines().filter(has_port).filter_map(state).collect()
}

/// Drops all packets to this socket.
pub fn deafen(socket: &Socket) {
    // BPF_RET
    // BPF_K with 0: keep no byte of any packet.
    socket.attach_filter(&[SockFilter::new(6, 0, 0, 0)]).expect("SO_ATTACH_FILTER");
}

/// Lets packets in again.
pub fn hear(socket: &Socket) {
    socket.detach_filter().expect("SO_DETACH_FILTER");
}

/// Waits until the peer has closed its side.
pub fn read_end(mut socket: &Socket) {
    let read = socket.read(&mut [0]).expect("the end of the stream");
    assert_eq!(read, 0, "the peer sends nothing");
}

/// Waits until the connection breaks, and returns the errno.
pub fn read_error(mut socket: &Socket) -> i32 {
    let error = socket.read(&mut [0]).expect_err("the connection must break");
    error.raw_os_error().expect("an errno")
}

/// Waits until data has arrived, and leaves it there.
pub fn peek(socket: &Socket) {
    let read = socket.peek(&mut [MaybeUninit::uninit()]).expect("data");
    assert_eq!(read, 1, "a byte has arrived");
}

/// Waits until the peer has closed its side, and leaves the end unread.
pub fn peek_end(socket: &Socket) {
    let read = socket.peek(&mut [MaybeUninit::uninit()]).expect("the end of the stream");
    assert_eq!(read, 0, "the peer sends nothing");
}

/// Closes with RST.
pub fn abort(socket: Socket) {
    socket.set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
    drop(socket);
}

/// This port of this address; port 0 lets the kernel choose.
pub fn local(address: Ipv4Addr, port: u16) -> SocketAddr {
    (address, port).into()
}
