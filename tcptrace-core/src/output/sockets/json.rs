//! A socket as a JSON object, by the schema in `docs/sockets.schema.json`.

use std::io;

use crate::{
    model::{
        payload::Payload,
        scan::{Owner, Owners},
        socket::{Socket, Timer},
    },
    output::{
        json::{
            process,
            put::{addresses, key, number, number_or_null, optional, optional_name, quoted, word},
        },
        put,
        schema::SCHEMA,
    },
};

/// Appends a line.
pub(super) fn line(owners: &Owners, socket: &Socket, out: &mut Vec<u8>) -> io::Result<()> {
    out.extend_from_slice(b"{\"schema\":");
    put::number(out, SCHEMA);
    word(out, "type", "socket");
    optional(out, "netns", socket.netns);
    number(out, "cookie", socket.cookie);
    word(out, "kind", socket.kind.name());
    key(out, "state");
    quoted(out, |out| put::state(out, socket.state));
    addresses(out, (socket.laddr, socket.lport), (socket.raddr, socket.rport));
    optional(out, "ifindex", socket.ifindex);
    optional_name(out, "device", socket.device.as_deref().map(str::as_bytes))?;
    optional(out, "age_at_least_us", socket.age_at_least_ns.map(|ns| ns / 1_000));
    optional(out, "uid", socket.uid);
    optional(out, "inode", socket.inode);
    number(out, "recv_queue", socket.recv_queue);
    number(out, "send_queue", socket.send_queue);
    key(out, "timer");
    timer(socket.timer, out);
    optional(out, "cgroup_id", socket.cgroup_id);
    key(out, "mptcp");
    out.extend_from_slice(if socket.mptcp { b"true" } else { b"false" });
    optional(out, "drops", socket.drops);
    key(out, "info");
    info(socket, out);
    key(out, "owners");
    out.push(b'[');
    for (index, one) in owners.of(socket).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        owner(&one, out)?;
    }
    out.extend_from_slice(b"]}\n");
    Ok(())
}

fn timer(timer: Option<Timer>, out: &mut Vec<u8>) {
    let Some(timer) = timer else { return out.extend_from_slice(b"null") };
    out.extend_from_slice(b"{\"kind\":");
    quoted(out, |out| out.extend_from_slice(timer.kind.to_string().as_bytes()));
    number(out, "expires_ms", timer.expires_ms);
    number(out, "retransmits", timer.retransmits);
    out.push(b'}');
}

fn info(socket: &Socket, out: &mut Vec<u8>) {
    let Some(info) = &socket.info else { return out.extend_from_slice(b"null") };
    out.extend_from_slice(b"{\"srtt_us\":");
    number_or_null(out, info.srtt_us);
    number(out, "unacked", info.unacked);
    number(out, "retransmits", info.total_retrans);
    optional(out, "last_data_sent_ms", info.last_data_sent_ms);
    optional(out, "last_data_recv_ms", info.last_data_recv_ms);
    optional(out, "last_ack_recv_ms", info.last_ack_recv_ms);
    number(out, "bytes_acked", info.bytes_acked);
    number(out, "bytes_received", info.bytes_received);
    number(out, "notsent_bytes", info.notsent_bytes);
    number(out, "snd_wnd", info.snd_wnd);
    let payload = Payload::of_socket(socket);
    optional(out, "tx_bytes", payload.and_then(|payload| payload.sent.if_exact()));
    optional(out, "rx_bytes", payload.and_then(|payload| payload.received.if_exact()));
    optional(out, "bytes_sent", info.bytes_sent);
    optional(out, "bytes_retrans", info.bytes_retrans);
    out.push(b'}');
}

fn owner(owner: &Owner<'_>, out: &mut Vec<u8>) -> io::Result<()> {
    let process = owner.process;
    out.extend_from_slice(b"{\"pid\":");
    put::number(out, owner.holder.pid);
    number(out, "fd", owner.holder.fd);
    word(out, "provenance", owner.provenance.name());
    optional_name(out, "comm", process.map(|process| &process.comm[..]))?;
    optional(out, "uid", process.map(|process| process.uid));
    process::put(out, process)?;
    out.push(b'}');
    Ok(())
}
