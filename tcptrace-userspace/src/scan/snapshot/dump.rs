//! Dump of all TCP sockets of the network namespace that the calling thread is in.

use std::{
    mem,
    os::fd::{AsRawFd as _, OwnedFd},
};

use netlink_packet_core::{
    Emitable as _, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NLMSG_NOOP,
    NetlinkBuffer, NetlinkHeader,
};
use netlink_packet_sock_diag::inet::ExtensionFlags;
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

/// `TCPDIAG_GETSOCK` of `linux/inet_diag.h`: the type of the request and of its answers.
const TCPDIAG_GETSOCK: u16 = 18;

/// `TCP_NEW_SYN_RECV` of `net/tcp_states.h`: a request socket.
const NEW_SYN_RECV: u8 = 12;

/// Bytes that are read at once. The kernel fills at most 32 KiB of them.
pub(super) const BUFFER: usize = 64 << 10;

/// A part has at least this many sockets. A datagram has less than a hundred sockets: a part for each datagram would
/// switch threads more often. Larger parts would not fit the memory that the allocator keeps, and would come from the
/// kernel each time.
const PER_PART: usize = 300;

/// Walks at most, where the kernel calls them interrupted.
const TRIES: usize = 4;

/// A part of a dump.
pub(super) enum Part {
    /// Some more sockets.
    More(Vec<Socket>),
    /// The walk begins anew: the parts before are void.
    Anew,
}

/// Hands over all sockets in the order in which the kernel walks its tables, listeners before connections. Returns the
/// faults. `states` has a bit for each state; 0 is all. A socket that changes meanwhile may come twice: see
/// [`drop_doubles`].
pub(super) fn dump(
    facts: Facts,
    states: u32,
    buffer: &mut [u8],
    take: impl Fn(Part),
) -> Result<Faults, Errno> {
    let kernel = socket(
        AddressFamily::Netlink,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkSockDiag,
    )?;
    let mut devices = Devices::default();
    let mut faults = Faults::default();
    for attempt in 1..=TRIES {
        send(kernel.as_raw_fd(), &question(states), MsgFlags::empty())?;
        let walk = walk(&kernel, facts, buffer, |mut sockets| {
            devices.name(&mut sockets);
            take(Part::More(sockets));
        })?;
        if walk.interrupted && attempt < TRIES {
            take(Part::Anew);
            continue;
        }
        faults.interrupted_dumps += usize::from(walk.interrupted);
        faults.undecodable += walk.undecodable;
        break;
    }
    Ok(faults)
}

/// The request to walk the tables: a netlink header and `struct inet_diag_req` of `linux/inet_diag.h`, the first
/// version of the request. All namespaces and both families share the tables. A request of the second version names one
/// family, and its walk returns that family alone. The first version returns both families in one walk.
fn question(states: u32) -> Vec<u8> {
    /// Bytes of both ends (`struct inet_diag_sockid`); zero is any.
    const ANY_ENDS: usize = 48;
    let extensions = ExtensionFlags::INFO | ExtensionFlags::SKMEMINFO;
    // Family and lengths of prefixes, which the kernel does not read, and the attributes to return.
    let mut request = vec![0, 0, 0, extensions.bits()];
    request.extend([0; ANY_ENDS]);
    request.extend(asked_states(states).to_ne_bytes());
    // `idiag_dbs`, the tables to dump: the kernel never used this field.
    request.extend(0_u32.to_ne_bytes());
    let mut header = NetlinkHeader::default();
    header.message_type = TCPDIAG_GETSOCK;
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    header.length = u32::try_from(header.buffer_len() + request.len()).unwrap_or(u32::MAX);
    let mut bytes = vec![0; header.buffer_len()];
    header.emit(&mut bytes);
    bytes.extend(request);
    bytes
}

/// The states as the kernel expects them in a request. The kernel counts request sockets as SYN_RECV. Bound sockets in
/// CLOSE have a number of their own in requests, which is no state of a socket.
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

/// Reads answers until the kernel's last message. Hands over the sockets of several datagrams at a time.
fn walk(
    kernel: &OwnedFd,
    facts: Facts,
    buffer: &mut [u8],
    mut take: impl FnMut(Vec<Socket>),
) -> Result<Walk, Errno> {
    let (mut walk, mut sockets) = (Walk::default(), Vec::new());
    loop {
        // With this flag the length is that of the whole datagram, also where the buffer is too small for it.
        let length = match recv(kernel.as_raw_fd(), buffer, MsgFlags::MSG_TRUNC) {
            Err(Errno::EINTR) => continue,
            length => length?,
        };
        walk.undecodable += usize::from(length > buffer.len());
        let is_last = walk.messages(&buffer[..length.min(buffer.len())], facts, &mut sockets)?;
        if is_last {
            take(sockets);
            return Ok(walk);
        }
        if sockets.len() >= PER_PART {
            take(mem::replace(&mut sockets, Vec::with_capacity(PER_PART + PER_PART / 3)));
        }
    }
}

impl Walk {
    /// Decodes the messages of a datagram. Returns `true` when one of them is the last.
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
                TCPDIAG_GETSOCK => match answer::decode(message.payload(), &facts) {
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

/// The number at the beginning of a last message: 0, or a negative errno.
fn outcome(payload: &[u8]) -> Result<(), Errno> {
    match payload.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes)) {
        Some(errno) if errno < 0 => Err(Errno::from_raw(errno.saturating_neg())),
        Some(_) => Ok(()),
        None => Err(Errno::EBADMSG),
    }
}

/// Keeps the last of several answers with the same cookie. While the kernel walks the tables, a request becomes a
/// connection, or a connection passes into TIME_WAIT, further on in the same table.
pub(super) fn drop_doubles(sockets: &mut Vec<Box<Socket>>) {
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
