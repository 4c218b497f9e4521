//! A socket of the host.

use std::{marker::PhantomData, net::IpAddr};

use super::owner::Identity;
use crate::{
    model::{
        owner::Provenance,
        payload::Payload,
        scan::{Owner, Owners},
        socket::{Info, Kind, Socket, Timer, TimerKind},
        state::State,
    },
    output::fields::{
        schema::{Definitions, Schema},
        table::fields,
        value::Value,
        values::{Family, Flat, Name, Object, Start},
    },
};

/// A socket, and the processes that it belongs to.
pub(in crate::output) struct Line<'a> {
    /// The processes of the host.
    pub(in crate::output) owners: &'a Owners,
    /// The socket.
    pub(in crate::output) socket: &'a Socket,
}

fields! { "socket", impl['a] for Line<'a>, |line|, "One TCP socket.", {
    "start": Flat<Start<Self>> [csv 0 ""] = Flat(Start(PhantomData)), "";
    "netns": Option<u32> [csv 0] = line.socket.flow.netns,
        "Inode number of its network namespace; null when /proc does not show it.";
    "cookie": u64 [csv 0] = line.socket.cookie,
        "The kernel's own number for the connection, the same as in a trace. A half-open connection, the socket that comes from \
         it, and what is left of that in TIME_WAIT share one. Before Linux 5.10 unique within a namespace only.";
    "kind": Kind [csv 0] = line.socket.kind,
        "How much of a socket the kernel keeps. request: a half-open connection of a listener. time_wait: what is left after \
         the program is done with it, in FIN_WAIT2 or TIME_WAIT.";
    "state": State [csv 0] = line.socket.state, "";
    "family": Family<'_> [csv 0] = Family(&line.socket.flow), "That of the addresses.";
    "laddr": IpAddr [csv 0] = line.socket.flow.local.address, "Local address.";
    "lport": u16 [csv 0] = line.socket.flow.local.port, "Local port.";
    "raddr": IpAddr [csv 0] = line.socket.flow.remote.address, "Remote address.";
    "rport": u16 [csv 0] = line.socket.flow.remote.port, "Remote port; 0 without a remote end.";
    "ifindex": Option<u32> [csv 4] = line.socket.ifindex,
        "Index of the network device that the socket is bound to, by its program, by a VRF or by a link-local address; null \
         without one. Connections with the same ends on two devices are two.";
    "device": Option<Name<'a>> [csv 4] = line.socket.device.as_deref().map(|name| Name(name.as_bytes())),
        "The name of that device in the socket's network namespace; null without one, or when the device is gone.";
    "age_at_least_us": Option<u64> [csv 0] = line.socket.age_at_least_ns.map(|ns| ns / 1_000),
        "Microseconds in the state, at least, in the milliseconds of the kernel's clock; null when unknown. docs/sockets.md says \
         where it comes from.";
    "uid": Option<u32> [csv 0] = line.socket.uid,
        "User id of the socket; null when no process can have it open.";
    "inode": Option<u64> [csv 0] = line.socket.inode,
        "Inode number, by which /proc/PID/fd names it; null when no process can have it open.";
    "recv_queue": u32 [csv 0] = line.socket.recv_queue,
        "Bytes that wait to be read; of a listener, connections that wait to be accepted.";
    "send_queue": u32 [csv 0] = line.socket.send_queue,
        "Bytes that are not acknowledged yet; of a listener, how many connections may wait.";
    "timer": Option<Object<&'a Timer>> [csv 0 "timer_"] = line.socket.timer.as_ref().map(Object),
        "The timer that runs; null when none does.";
    "cgroup_id": Option<u64> [csv 0] = line.socket.cgroup_id,
        "Cgroup (version 2) that the socket was made in; null when the kernel does not report it.";
    "mptcp": bool [csv 0] = line.socket.mptcp, "It is a subflow of an MPTCP connection.";
    "drops": Option<u32> [csv 0] = line.socket.drops,
        "Segments dropped on their way into the socket; of a listener, SYNs and connections. Null when it keeps no count.";
    "info": Option<Object<Parts<'a>>> [csv 0 ""] = line.socket.info.as_ref().map(|info| Object(Parts::of(line.socket, info))),
        "Parts of struct tcp_info; null where there is no connection, or only what is left of one.";
    "owners": All<'a> [csv 0] = All(line.owners, line.socket),
        "The processes that the socket belongs to, by their ids; empty when none is known.";
    "owner": Option<Object<Owner<'a>>> [column 0 "owner_"] = line.owners.of(line.socket).next().map(Object), "";
} }

fields! { "timer", impl[] for Timer, |timer|, "", {
    "kind": Purpose [csv 0] = Purpose(timer.kind),
        "By the names of ss; timer_n is a number that this version has no name for.";
    "expires_ms": u32 [csv 0] = timer.expires_ms, "Milliseconds until it ends.";
    "retransmits": u8 [csv 0] = timer.retransmits, "How often it ended without an answer.";
} }

/// The purpose of a timer.
pub(in crate::output) struct Purpose(TimerKind);

impl Value for Purpose {
    fn json(&self, out: &mut Vec<u8>) {
        out.push(b'"');
        self.text(out);
        out.push(b'"');
    }

    fn text(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.to_string().as_bytes());
    }

    fn schema(_: &mut Definitions) -> Schema {
        Schema::of_type("string").with("pattern", "^(on|keepalive|timewait|persist|timer_[0-9]{1,3})$")
    }
}

/// `struct tcp_info` of a connection.
pub(in crate::output) struct Parts<'a> {
    info: &'a Info,
    payload: Option<Payload>,
}

impl<'a> Parts<'a> {
    fn of(socket: &Socket, info: &'a Info) -> Self {
        Self { info, payload: Payload::of_socket(socket) }
    }
}

fields! { "info", impl['a] for Parts<'a>, |parts|, "", {
    "srtt_us": Option<u32> [csv 0] = parts.info.srtt_us,
        "Smoothed round-trip time in microseconds; null until one was measured.";
    "unacked": u32 [csv 0] = parts.info.unacked, "Segments sent and not acknowledged.";
    "retransmits": u32 [csv 0] = parts.info.total_retrans, "Segments sent again, in all.";
    "last_data_sent_ms": Option<u32> [csv 0] = parts.info.last_data_sent_ms,
        "Milliseconds since data was sent, or the connection was made; null when neither ever was.";
    "last_data_recv_ms": Option<u32> [csv 0] = parts.info.last_data_recv_ms,
        "Milliseconds since data was received, or the connection was made; null when none was received after a simultaneous \
         open.";
    "last_ack_recv_ms": Option<u32> [csv 0] = parts.info.last_ack_recv_ms,
        "Milliseconds since an acknowledgement was received; null when none ever was.";
    "bytes_acked": u64 [csv 0] = parts.info.bytes_acked,
        "In sequence space: a FIN counts as one, and so does the SYN of the side that connected.";
    "bytes_received": u64 [csv 0] = parts.info.bytes_received,
        "In sequence space: the peer's FIN counts as one.";
    "notsent_bytes": u32 [csv 0] = parts.info.notsent_bytes,
        "Bytes written by the program and not sent yet.";
    "snd_wnd": u32 [csv 0] = parts.info.snd_wnd, "The peer's window in bytes; 0 forbids to send.";
    "tx_bytes": Option<u64> [csv 3] = parts.payload.and_then(|payload| payload.sent.if_exact()),
        "Bytes of data that the program sent and the peer acknowledged: bytes_acked without SYN and FIN. Null when it is not \
         known whether the SYN is in it, as while something is on its way.";
    "rx_bytes": Option<u64> [csv 3] = parts.payload.and_then(|payload| payload.received.if_exact()),
        "Bytes of data that arrived in order, whether the program has read them or not: bytes_received without FIN.";
    "bytes_sent": Option<u64> = parts.info.bytes_sent,
        "Bytes of data sent, those sent again counted again; null in captures of older versions.";
    "bytes_retrans": Option<u64> = parts.info.bytes_retrans,
        "Bytes of data sent again; null in captures of older versions.";
} }

/// The processes that a socket belongs to; in CSV, their number.
pub(in crate::output) struct All<'a>(&'a Owners, &'a Socket);

impl Value for All<'_> {
    fn json(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        for (index, owner) in self.0.of(self.1).enumerate() {
            if index > 0 {
                out.push(b',');
            }
            Object(owner).json(out);
        }
        out.push(b']');
    }

    fn text(&self, out: &mut Vec<u8>) {
        self.0.of(self.1).count().text(out);
    }

    fn schema(definitions: &mut Definitions) -> Schema {
        Schema::list_of(definitions.table::<Owner<'_>>())
    }
}

fields! { "owner", impl['a] for Owner<'a>, |owner|, "", {
    "pid": u32 [csv 0] = owner.holder.pid, "Process id, as /proc shows it here.";
    "fd": u32 [csv 0] = owner.holder.fd,
        "Its descriptor for the socket, the lowest; when inherited, for the listener.";
    "provenance": Held [csv 0] = Held(owner.provenance),
        "exact: the process has the socket open. inherited: nobody has, and the process has the one listener open that the \
         socket came from; docs/sockets.md says when that is not known.";
    "comm": Option<Name<'a>> [csv 0] = owner.process.map(|process| Name(&process.comm)),
        "Its name; null when it ended before it was read.";
    "uid": Option<u32> [csv 0] = owner.process.map(|process| process.uid), "Real user id; null as comm is.";
    "process": Flat<Identity<'a>> [csv 0 ""] = Flat(Identity(owner.process)), "";
} }

/// How the owner of a socket is known.
pub(in crate::output) struct Held(Provenance);

impl Value for Held {
    fn json(&self, out: &mut Vec<u8>) {
        self.0.json(out);
    }

    fn text(&self, out: &mut Vec<u8>) {
        self.0.text(out);
    }

    fn schema(_: &mut Definitions) -> Schema {
        Schema::one_of([Provenance::Exact.name(), Provenance::Inherited.name()])
    }
}
