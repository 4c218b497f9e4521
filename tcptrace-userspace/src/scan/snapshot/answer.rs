//! An answer of sock_diag: bytes to a [`Socket`], without trusting them.
//!
//! The parser of netlink-packet-sock-diag is not used for this. It drops the time that a socket in TIME_WAIT has left
//! and the cgroup. It does not know the name of MPTCP, refuses answers that are shorter than its own structures, and
//! allocates for every attribute. A busy host has a million attributes.

use bytes::Buf as _;
use netlink_packet_core::NlasIterator;
use netlink_packet_sock_diag::constants::{INET_DIAG_INFO, INET_DIAG_SKMEMINFO};
use tcptrace_common::{AF_INET, Address};
use tcptrace_core::model::{
    address::flow,
    socket::{Info, Kind, Socket, Timer, TimerKind},
    state::State,
};
use thiserror::Error;

use super::{age, never::is_never};

/// Attributes of `linux/inet_diag.h` that netlink-packet-sock-diag does not have.
const INET_DIAG_ULP_INFO: u16 = 19;
const INET_DIAG_CGROUP_ID: u16 = 21;
const INET_DIAG_SOCKOPT: u16 = 22;
/// In the first byte of `struct inet_diag_sockopt`, whose bits begin with the lowest on little-endian machines.
const SOCKOPT_TRANSPARENT: u8 = if cfg!(target_endian = "little") { 1 << 5 } else { 1 << 2 };
/// Inside of `INET_DIAG_ULP_INFO`.
const INET_ULP_INFO_NAME: u16 = 1;
/// Index into the numbers of `INET_DIAG_SKMEMINFO`, `linux/sock_diag.h`.
const SK_MEMINFO_DROPS: usize = 8;
/// Value of `idiag_timer`.
const TIMER_TIMEWAIT: u8 = 3;
/// State of a socket that is only bound, in answers since Linux 6.8; its state is CLOSE.
pub(super) const TCP_BOUND_INACTIVE: u8 = 13;

/// Size of `struct inet_diag_msg` of `linux/inet_diag.h`, which follows the netlink header.
const HEADER: usize = 72;

/// An answer that is not what `linux/inet_diag.h` describes.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum AnswerError {
    /// Fewer bytes than a socket takes.
    #[error("an answer of {0} bytes is too short")]
    Short(usize),
    /// The attributes that follow are damaged.
    #[error("an answer with a damaged attribute")]
    Attribute,
}

/// Facts of a namespace, which decoding its answers needs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    /// Inode number of the namespace.
    pub netns: Option<u32>,
    /// `net.ipv4.tcp_fin_timeout` of the namespace.
    pub fin_timeout_ms: Option<u32>,
    /// `CLOCK_MONOTONIC` when the kernel gives the answers; 0 where that is unknown.
    pub now_ns: u64,
}

/// Decodes one answer, without its netlink header. The name of a device is not in it.
///
/// # Errors
/// [`AnswerError`]; never panics, whatever the bytes.
pub fn decode(answer: &[u8], facts: &Facts) -> Result<Socket, AnswerError> {
    let (mut header, attributes) = answer.split_at_checked(HEADER).ok_or(AnswerError::Short(answer.len()))?;
    let attributes = Attributes::read(attributes, facts.now_ns)?;
    let (family, state) = (header.get_u8(), header.get_u8());
    let (timer, retransmits) = (header.get_u8(), header.get_u8());
    let (lport, rport) = (header.get_u16(), header.get_u16());
    let laddr = address(family, &mut header);
    let raddr = address(family, &mut header);
    let ifindex = header.get_u32_ne();
    let (low, high) = (header.get_u32_ne(), header.get_u32_ne());
    let expires_ms = header.get_u32_ne();
    let (recv_queue, send_queue) = (header.get_u32_ne(), header.get_u32_ne());
    let (uid, inode) = (header.get_u32_ne(), header.get_u32_ne());

    let kind = match timer {
        TIMER_TIMEWAIT => Kind::TimeWait,
        // The request asks for the memory of sockets. The kernel returns it for every socket that has some.
        _ if attributes.drops.is_none() => Kind::Request,
        _ => Kind::Full,
    };
    let state = State(if state == TCP_BOUND_INACTIVE { State::CLOSE.0 } else { state });
    let timer = timer_kind(timer).map(|kind| Timer { kind, expires_ms, retransmits });
    // Without a connection the kernel returns zeros, which would look like measurements.
    let info = attributes.info.filter(|_| state != State::LISTEN && state != State::CLOSE);
    Ok(Socket {
        flow: flow(facts.netns, family, (laddr, lport), (raddr, rport)),
        cookie: u64::from(high) << 32 | u64::from(low),
        kind,
        state,
        // The kernel returns root for a socket that no process has open.
        uid: (inode != 0).then_some(uid),
        inode: (inode != 0).then_some(inode.into()),
        recv_queue,
        send_queue,
        timer,
        cgroup_id: attributes.cgroup_id,
        mptcp: attributes.mptcp,
        drops: attributes.drops,
        age_at_least_ns: age::at_least_ns(kind, state, timer, info.as_ref(), facts.fin_timeout_ms),
        info,
        ifindex: (ifindex != 0).then_some(ifindex),
        device: None,
        transparent: attributes.transparent,
    })
}

fn timer_kind(number: u8) -> Option<TimerKind> {
    Some(match number {
        0 => return None,
        1 => TimerKind::On,
        2 => TimerKind::Keepalive,
        TIMER_TIMEWAIT => TimerKind::TimeWait,
        4 => TimerKind::Persist,
        other => TimerKind::Other(other),
    })
}

/// The next address: 16 bytes, of which IPv4 uses the first four.
fn address(family: u8, bytes: &mut &[u8]) -> Address {
    let mut octets = [0; 16];
    bytes.copy_to_slice(&mut octets);
    let [a, b, c, d, ..] = octets;
    if u16::from(family) == AF_INET { Address::from_v4([a, b, c, d]) } else { Address::from_v6(octets) }
}

/// The attributes after the fixed part, as far as they are used.
#[derive(Default)]
struct Attributes {
    info: Option<Info>,
    drops: Option<u32>,
    cgroup_id: Option<u64>,
    mptcp: bool,
    transparent: Option<bool>,
}

impl Attributes {
    fn read(bytes: &[u8], now_ns: u64) -> Result<Self, AnswerError> {
        let mut read = Self::default();
        for attribute in NlasIterator::new(bytes) {
            let attribute = attribute.map_err(|_| AnswerError::Attribute)?;
            let value = attribute.value();
            match attribute.kind() {
                INET_DIAG_INFO => read.info = Some(info(value, now_ns)?),
                INET_DIAG_SKMEMINFO => read.drops = Some(word(value, 4 * SK_MEMINFO_DROPS)?),
                INET_DIAG_CGROUP_ID => read.cgroup_id = Some(long(value, 0)?),
                INET_DIAG_SOCKOPT => {
                    let options = value.first().ok_or(AnswerError::Attribute)?;
                    read.transparent = Some(options & SOCKOPT_TRANSPARENT != 0);
                }
                INET_DIAG_ULP_INFO => read.mptcp = ulp_is_mptcp(value)?,
                _ => {}
            }
        }
        Ok(read)
    }
}

/// Whether the protocol above TCP is MPTCP. Its name is a string with its NUL.
fn ulp_is_mptcp(attributes: &[u8]) -> Result<bool, AnswerError> {
    for attribute in NlasIterator::new(attributes) {
        let attribute = attribute.map_err(|_| AnswerError::Attribute)?;
        if attribute.kind() == INET_ULP_INFO_NAME {
            return Ok(attribute.value().strip_suffix(&[0]).unwrap_or(attribute.value()) == b"mptcp");
        }
    }
    Ok(false)
}

/// Offsets in `struct tcp_info` (`linux/tcp.h`), of fields that Linux 5.8 has. The structure only ever grows.
mod tcp_info {
    pub(super) const UNACKED: usize = 24;
    pub(super) const LAST_DATA_SENT: usize = 44;
    pub(super) const LAST_DATA_RECV: usize = 52;
    pub(super) const LAST_ACK_RECV: usize = 56;
    pub(super) const RTT: usize = 68;
    pub(super) const TOTAL_RETRANS: usize = 100;
    pub(super) const BYTES_ACKED: usize = 120;
    pub(super) const BYTES_RECEIVED: usize = 128;
    pub(super) const NOTSENT_BYTES: usize = 144;
    pub(super) const DATA_SEGS_OUT: usize = 156;
    pub(super) const BYTES_SENT: usize = 200;
    pub(super) const BYTES_RETRANS: usize = 208;
    pub(super) const SND_WND: usize = 228;
}

fn info(bytes: &[u8], now_ns: u64) -> Result<Info, AnswerError> {
    let word = |offset| word(bytes, offset);
    let (bytes_acked, bytes_received) =
        (long(bytes, tcp_info::BYTES_ACKED)?, long(bytes, tcp_info::BYTES_RECEIVED)?);
    // An event that has been counted has a time, whatever the clock says. One byte received may be the peer's FIN.
    let since = |offset, has_been: bool| {
        word(offset).map(|ms| Some(ms).filter(|ms| has_been || !is_never(*ms, now_ns)))
    };
    Ok(Info {
        srtt_us: Some(word(tcp_info::RTT)?).filter(|us| *us != 0),
        unacked: word(tcp_info::UNACKED)?,
        total_retrans: word(tcp_info::TOTAL_RETRANS)?,
        last_data_sent_ms: since(tcp_info::LAST_DATA_SENT, word(tcp_info::DATA_SEGS_OUT)? > 0)?,
        last_data_recv_ms: since(tcp_info::LAST_DATA_RECV, bytes_received > 1)?,
        last_ack_recv_ms: since(tcp_info::LAST_ACK_RECV, bytes_acked > 0)?,
        bytes_acked,
        bytes_received,
        notsent_bytes: word(tcp_info::NOTSENT_BYTES)?,
        snd_wnd: word(tcp_info::SND_WND)?,
        bytes_sent: Some(long(bytes, tcp_info::BYTES_SENT)?),
        bytes_retrans: Some(long(bytes, tcp_info::BYTES_RETRANS)?),
    })
}

fn word(bytes: &[u8], offset: usize) -> Result<u32, AnswerError> {
    let found = bytes.get(offset..).and_then(|rest| rest.first_chunk());
    found.map(|bytes| u32::from_ne_bytes(*bytes)).ok_or(AnswerError::Attribute)
}

fn long(bytes: &[u8], offset: usize) -> Result<u64, AnswerError> {
    let found = bytes.get(offset..).and_then(|rest| rest.first_chunk());
    found.map(|bytes| u64::from_ne_bytes(*bytes)).ok_or(AnswerError::Attribute)
}

#[cfg(test)]
mod tests;
