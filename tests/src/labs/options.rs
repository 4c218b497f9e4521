//! Socket options for the situations.

use std::{net::TcpStream, os::fd::AsFd, time::Duration};

use nix::{
    libc, setsockopt_impl,
    sys::socket::{
        setsockopt,
        sockopt::{SetStruct, TcpFastOpenConnect, TcpRepair},
    },
};
use socket2::{SockFilter, SockRef};

#[derive(Clone, Copy)]
struct DeferAccept;
setsockopt_impl!(DeferAccept, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, i32, SetStruct<i32>);

/// Makes a listener accept only once data has come, or this time has passed.
pub(super) fn defer_accept(listener: &impl AsFd, seconds: i32) {
    setsockopt(listener, DeferAccept, &seconds).expect("TCP_DEFER_ACCEPT");
}

/// Makes the SYN wait for the first data.
pub(super) fn defer_connect(socket: &impl AsFd) {
    setsockopt(socket, TcpFastOpenConnect, &true).expect("TCP_FASTOPEN_CONNECT");
}

/// Ends a connection without a packet to its peer.
pub(super) fn vanish(stream: TcpStream) {
    setsockopt(&stream, TcpRepair, &1).expect("TCP_REPAIR");
    drop(stream);
}

/// Ends a connection by a reset.
pub(super) fn abort(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
    drop(stream);
}

/// Drops all incoming packets.
pub(super) fn deafen(stream: &TcpStream) {
    // BPF_RET
    // BPF_K with 0: keep no byte of any packet.
    SockRef::from(stream).attach_filter(&[SockFilter::new(6, 0, 0, 0)]).expect("SO_ATTACH_FILTER");
}

/// Lets packets in again.
pub(super) fn hear(stream: &TcpStream) {
    SockRef::from(stream).detach_filter().expect("SO_DETACH_FILTER");
}

/// Sets small buffers, so that little data fills them.
pub(super) fn small_buffers(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    socket.set_send_buffer_size(32_768).expect("SO_SNDBUF");
    socket.set_recv_buffer_size(32_768).expect("SO_RCVBUF");
}
