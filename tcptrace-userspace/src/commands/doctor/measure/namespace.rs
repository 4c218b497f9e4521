//! A network namespace that has only its loopback.

use std::{io, os::fd::AsRawFd as _};

use nix::{
    sched::{CloneFlags, unshare},
    sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket},
};

/// `linux/netlink.h` and `linux/rtnetlink.h`.
const RTM_NEWLINK: u16 = 16;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLMSG_ERROR: u16 = 2;
/// `linux/if.h`.
const IFF_UP: u32 = 1;
/// The loopback is the first device of every namespace.
const LOOPBACK: u32 = 1;
/// A message's header and `struct ifinfomsg`.
const LENGTH: u32 = 32;

/// Moves the calling thread into a new network namespace and brings its loopback up.
pub(super) fn enter() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    let route = socket(
        AddressFamily::Netlink,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )?;
    send(route.as_raw_fd(), &loopback_up(), MsgFlags::empty())?;
    let mut answer = [0; 64];
    let length = recv(route.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    acknowledged(&answer[..length])
}

/// The request that sets `IFF_UP` of the loopback.
fn loopback_up() -> Vec<u8> {
    let mut message = Vec::new();
    message.extend(LENGTH.to_ne_bytes());
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend((NLM_F_REQUEST | NLM_F_ACK).to_ne_bytes());
    // Sequence number and sender's address, which the kernel sets. Then family, padding and type of device.
    message.extend([0; 12]);
    message.extend(LOOPBACK.to_ne_bytes());
    // The flags, and which of them change.
    message.extend(IFF_UP.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());
    message
}

/// The kernel's answer: an error number, negative, or 0.
fn acknowledged(answer: &[u8]) -> io::Result<()> {
    let kind = answer.get(4..).and_then(|rest| rest.first_chunk()).map(|bytes| u16::from_ne_bytes(*bytes));
    let errno = answer.get(16..).and_then(|rest| rest.first_chunk()).map(|bytes| i32::from_ne_bytes(*bytes));
    match (kind, errno) {
        (Some(NLMSG_ERROR), Some(0)) => Ok(()),
        (Some(NLMSG_ERROR), Some(errno)) => Err(io::Error::from_raw_os_error(errno.saturating_neg())),
        _ => Err(io::Error::other("the kernel's answer is not understood")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_is_as_long_as_it_says() {
        let message = loopback_up();
        assert_eq!(message.len(), usize::try_from(LENGTH).unwrap());
        assert_eq!(message[..4], LENGTH.to_ne_bytes());
        assert_eq!(message[20..24], LOOPBACK.to_ne_bytes());
    }

    #[test]
    fn answers() {
        let mut answer = [0; 36];
        answer[4] = 2;
        assert!(acknowledged(&answer).is_ok());
        answer[16..20].copy_from_slice(&(-1_i32).to_ne_bytes());
        assert_eq!(acknowledged(&answer).unwrap_err().raw_os_error(), Some(1));
        assert!(acknowledged(&answer[..10]).is_err() && acknowledged(&[]).is_err());
    }
}
