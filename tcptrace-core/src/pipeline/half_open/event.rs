//! A record of the kernel side, decoded: only what the kernel reported, nothing inferred.

use std::mem::offset_of;

use bytes::Buf as _;
use tcptrace_common::{HALF_OPEN_RETRANSMIT, HALF_OPEN_SYN, HalfOpenRecord, KIND_HALF_OPEN};

use crate::{
    model::{address::flow, half_open::Connection},
    pipeline::decode::{DecodeError, address},
};

/// An event of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub ktime_ns: u64,
    /// Its kind.
    pub kind: EventKind,
    /// Its connection.
    pub connection: Connection,
    /// `SO_NETNS_COOKIE` of its namespace, where the kernel side told it: in place of an inode that it could not read.
    pub netns_cookie: Option<u64>,
}

/// Kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A SYN was queued.
    Syn,
    /// A SYN-ACK was sent again.
    Retransmit,
}

/// Decodes one record. Bytes after the known fields are ignored.
///
/// # Errors
/// [`DecodeError`]; never panics, whatever the bytes.
pub fn decode(mut bytes: &[u8]) -> Result<Event, DecodeError> {
    let len = bytes.len();
    if len < size_of::<HalfOpenRecord>() {
        return Err(DecodeError::Short(len));
    }
    // The order of the fields is that of `HalfOpenRecord`.
    let kind = bytes.get_u16_ne();
    if kind != KIND_HALF_OPEN {
        return Err(DecodeError::Kind(kind));
    }
    let kind = match bytes.get_u16_ne() {
        HALF_OPEN_SYN => EventKind::Syn,
        HALF_OPEN_RETRANSMIT => EventKind::Retransmit,
        _ => return Err(DecodeError::Kind(kind)),
    };
    let netns = bytes.get_u32_ne();
    let ktime_ns = bytes.get_u64_ne();
    let (netns_cookie, cookie) = (bytes.get_u64_ne(), bytes.get_u64_ne());
    let family = bytes.get_u16_ne();
    let (lport, rport) = (bytes.get_u16_ne(), bytes.get_u16_ne());
    let _reserved = bytes.get_u16_ne();
    let (laddr, raddr) = (address(&mut bytes), address(&mut bytes));
    let (netns, family) = ((netns != 0).then_some(netns), u8::try_from(family).unwrap_or(0));
    let flow = flow(netns, family, (laddr, lport), (raddr, rport));
    Ok(Event {
        ktime_ns,
        kind,
        connection: Connection { cookie, flow },
        netns_cookie: (netns_cookie != 0).then_some(netns_cookie),
    })
}

/// `SO_NETNS_COOKIE` of a record without the inode of its namespace; `None` where the record has the inode, or is too short.
pub fn netns_cookie(record: &[u8]) -> Option<u64> {
    let inode = record.get(offset_of!(HalfOpenRecord, netns)..)?.try_get_u32_ne().ok()?;
    let cookie = record.get(offset_of!(HalfOpenRecord, netns_cookie)..)?.try_get_u64_ne().ok()?;
    (inode == 0 && cookie != 0).then_some(cookie)
}
