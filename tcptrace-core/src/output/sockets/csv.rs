//! A socket as a row: the fields of the JSON form, flattened, absent values empty; of several owners the first.

use std::io::Write as _;

use crate::{
    model::{payload::Payload, scan::Owners, socket::Socket},
    output::{
        csv_put::{next, next_name, next_number, next_process, next_word},
        put,
    },
};

const COLUMNS: [&str; 44] = [
    "type",
    "netns",
    "cookie",
    "kind",
    "state",
    "family",
    "laddr",
    "lport",
    "raddr",
    "rport",
    "age_at_least_us",
    "uid",
    "inode",
    "recv_queue",
    "send_queue",
    "timer_kind",
    "timer_expires_ms",
    "timer_retransmits",
    "cgroup_id",
    "mptcp",
    "drops",
    "srtt_us",
    "unacked",
    "retransmits",
    "last_data_sent_ms",
    "last_data_recv_ms",
    "last_ack_recv_ms",
    "bytes_acked",
    "bytes_received",
    "notsent_bytes",
    "snd_wnd",
    "owners",
    "owner_pid",
    "owner_fd",
    "owner_provenance",
    "owner_comm",
    "owner_uid",
    "owner_exe",
    "owner_unit",
    "owner_container",
    "tx_bytes",
    "rx_bytes",
    "ifindex",
    "device",
];

pub(super) fn header(out: &mut Vec<u8>) {
    // Writing to memory does not fail.
    let _ = writeln!(out, "{}", COLUMNS.join(","));
}

/// Appends a row; the fields follow `COLUMNS`.
pub(super) fn row(owners: &Owners, socket: &Socket, out: &mut Vec<u8>) {
    out.extend_from_slice(b"socket");
    next_number(out, socket.netns);
    next_number(out, Some(socket.cookie));
    next_word(out, Some(socket.kind.name()));
    next(out, |out| put::state(out, socket.state));
    next_number(out, Some(if socket.laddr.is_ipv4() { 4 } else { 6 }));
    next(out, |out| put::address(out, socket.laddr));
    next_number(out, Some(socket.lport));
    next(out, |out| put::address(out, socket.raddr));
    next_number(out, Some(socket.rport));
    next_number(out, socket.age_at_least_ns.map(|ns| ns / 1_000));
    next_number(out, socket.uid);
    next_number(out, socket.inode);
    next_number(out, Some(socket.recv_queue));
    next_number(out, Some(socket.send_queue));
    next_word(out, socket.timer.map(|timer| timer.kind.to_string()).as_deref());
    next_number(out, socket.timer.map(|timer| timer.expires_ms));
    next_number(out, socket.timer.map(|timer| timer.retransmits));
    next_number(out, socket.cgroup_id);
    next_word(out, Some(if socket.mptcp { "true" } else { "false" }));
    next_number(out, socket.drops);
    let info = socket.info.as_ref();
    next_number(out, info.and_then(|info| info.srtt_us));
    next_number(out, info.map(|info| info.unacked));
    next_number(out, info.map(|info| info.total_retrans));
    next_number(out, info.and_then(|info| info.last_data_sent_ms));
    next_number(out, info.and_then(|info| info.last_data_recv_ms));
    next_number(out, info.and_then(|info| info.last_ack_recv_ms));
    next_number(out, info.map(|info| info.bytes_acked));
    next_number(out, info.map(|info| info.bytes_received));
    next_number(out, info.map(|info| info.notsent_bytes));
    next_number(out, info.map(|info| info.snd_wnd));
    next_number(out, Some(owners.of(socket).count()));
    let owner = owners.of(socket).next();
    let process = owner.and_then(|owner| owner.process);
    next_number(out, owner.map(|owner| owner.holder.pid));
    next_number(out, owner.map(|owner| owner.holder.fd));
    next_word(out, owner.map(|owner| owner.provenance.name()));
    next_name(out, process.map(|process| &process.comm[..]));
    next_number(out, process.map(|process| process.uid));
    next_process(out, process);
    let payload = Payload::of_socket(socket);
    next_number(out, payload.and_then(|payload| payload.sent.if_exact()));
    next_number(out, payload.and_then(|payload| payload.received.if_exact()));
    next_number(out, socket.ifindex);
    next_name(out, socket.device.as_deref().map(str::as_bytes));
    out.push(b'\n');
}
