//! Asking for all TCP sockets of the namespace that the calling thread is in.

use std::os::fd::{AsRawFd as _, OwnedFd};

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NLMSG_NOOP, NetlinkBuffer,
    NetlinkHeader, NetlinkMessage,
};
use netlink_packet_sock_diag::{
    SockDiagMessage,
    constants::{AF_INET, AF_INET6, IPPROTO_TCP, SOCK_DIAG_BY_FAMILY},
    inet::{ExtensionFlags, InetRequest, SocketId, StateFlags},
};
use nix::{
    errno::Errno,
    sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket},
};

use tcptrace_common::{TCP_CLOSE, TCP_SYN_RECV};
use tcptrace_core::model::socket::Socket;

use super::{
    answer::{self, Facts, TCP_BOUND_INACTIVE},
    devices::Devices,
    faults::Faults,
};

/// `TCP_NEW_SYN_RECV` of `net/tcp_states.h`: a request socket.
const NEW_SYN_RECV: u8 = 12;

/// Bytes that are read at once. The kernel fills at most 32 KiB of them.
pub(super) const BUFFER: usize = 64 << 10;

/// How often a walk is begun anew that the kernel calls interrupted.
const TRIES: usize = 4;

/// All sockets of both families, each once, in the order in which the kernel walks its tables: listeners before the
/// connections of the same family; and what went wrong. `states`: a bit each, 0 is all.
pub(super) fn dump(facts: Facts, states: u32, buffer: &mut [u8]) -> Result<(Vec<Socket>, Faults), Errno> {
    let kernel = socket(
        AddressFamily::Netlink,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkSockDiag,
    )?;
    let mut sockets = Vec::new();
    let mut faults = Faults::default();
    for family in [AF_INET, AF_INET6] {
        let before = sockets.len();
        for attempt in 1..=TRIES {
            send(kernel.as_raw_fd(), &question(family, states), MsgFlags::empty())?;
            let walk = walk(&kernel, facts, buffer, &mut sockets)?;
            if walk.interrupted && attempt < TRIES {
                sockets.truncate(before);
                continue;
            }
            faults.interrupted_dumps += usize::from(walk.interrupted);
            faults.undecodable += walk.undecodable;
            break;
        }
    }
    drop_doubles(&mut sockets);
    Devices::default().name(&mut sockets);
    Ok((sockets, faults))
}

/// The request to walk the tables of a family.
fn question(family: u8, states: u32) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let request = InetRequest {
        family,
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::INFO | ExtensionFlags::SKMEMINFO,
        // Not only those that this library has names for.
        states: StateFlags::from_bits_retain(asked_states(states)),
        socket_id: SocketId::new_v4(),
    };
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

/// As the kernel wants to be asked. It counts requests as SYN_RECV, and has a number of its own, outside of the states
/// that a socket has, for those that are bound and in CLOSE.
fn asked_states(states: u32) -> u32 {
    let implied = [(NEW_SYN_RECV, TCP_SYN_RECV), (TCP_CLOSE, TCP_BOUND_INACTIVE)]
        .iter()
        .filter(|(state, _)| states & (1 << state) != 0)
        .fold(0, |bits, (_, asked)| bits | 1 << asked);
    if states == 0 { u32::MAX } else { states | implied }
}

#[derive(Default)]
struct Walk {
    interrupted: bool,
    undecodable: usize,
}

/// Reads answers until the kernel says that these were all.
fn walk(kernel: &OwnedFd, facts: Facts, buffer: &mut [u8], sockets: &mut Vec<Socket>) -> Result<Walk, Errno> {
    let mut walk = Walk::default();
    loop {
        // With this flag the length is that of the datagram, also where the buffer is too small for it.
        let length = match recv(kernel.as_raw_fd(), buffer, MsgFlags::MSG_TRUNC) {
            Err(Errno::EINTR) => continue,
            length => length?,
        };
        walk.undecodable += usize::from(length > buffer.len());
        if walk.messages(&buffer[..length.min(buffer.len())], facts, sockets)? {
            return Ok(walk);
        }
    }
}

impl Walk {
    /// Takes the messages of a datagram; `true` when one of them is the last.
    fn messages(
        &mut self,
        mut datagram: &[u8],
        facts: Facts,
        sockets: &mut Vec<Socket>,
    ) -> Result<bool, Errno> {
        while !datagram.is_empty() {
            let Ok(message) = NetlinkBuffer::new_checked(datagram) else {
                self.undecodable += 1;
                return Ok(false);
            };
            let length = usize::try_from(message.length()).unwrap_or(usize::MAX).next_multiple_of(4);
            datagram = datagram.get(length..).unwrap_or_default();
            self.interrupted |= message.flags() & NLM_F_DUMP_INTR != 0;
            match message.message_type() {
                SOCK_DIAG_BY_FAMILY => match answer::decode(message.payload(), &facts) {
                    Ok(socket) => sockets.push(socket),
                    Err(_) => self.undecodable += 1,
                },
                NLMSG_DONE | NLMSG_ERROR => return outcome(message.payload()).map(|()| true),
                NLMSG_NOOP => {}
                _ => self.undecodable += 1,
            }
        }
        Ok(false)
    }
}

/// The number that a last message begins with: 0, or an errno, negative.
fn outcome(payload: &[u8]) -> Result<(), Errno> {
    match payload.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes)) {
        Some(errno) if errno < 0 => Err(Errno::from_raw(errno.saturating_neg())),
        Some(_) => Ok(()),
        None => Err(Errno::EBADMSG),
    }
}

/// Of several answers with one cookie keeps the last: while the tables are walked, a request becomes a connection, or a
/// connection passes into TIME_WAIT, further on in the same table.
fn drop_doubles(sockets: &mut Vec<Socket>) {
    let mut order: Vec<(u64, usize)> =
        sockets.iter().enumerate().map(|(index, socket)| (socket.cookie, index)).collect();
    order.sort_unstable();
    let mut doubles: Vec<usize> =
        order.windows(2).filter(|pair| pair[0].0 == pair[1].0).map(|pair| pair[0].1).collect();
    doubles.sort_unstable();
    let (mut index, mut doubles) = (0, doubles.into_iter().peekable());
    sockets.retain(|_| {
        index += 1;
        doubles.next_if_eq(&(index - 1)).is_none()
    });
}

#[cfg(test)]
mod tests;
