//! The kernel side's settings for the running kernel: the known fields, and their offsets.

use tcptrace_common::{Config, Fields, FileLayout, Known, TaskLayout};
use thiserror::Error;

use super::{
    btf::{Btf, BtfError},
    facts,
};

/// A kernel whose structures this version of tcptrace cannot read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum LayoutError {
    /// A required field is missing.
    #[error(transparent)]
    Btf(#[from] BtfError),
    /// A field is not as wide as the kernel side reads it.
    #[error("{path} has {found} bytes in this kernel, tcptrace reads {expected}")]
    Width {
        /// The field.
        path: &'static str,
        /// Its size in BTF.
        found: u32,
        /// The size that the kernel side loads.
        expected: u32,
    },
    /// The offset of a field is larger than an instruction can have.
    #[error("{path} lies {offset} bytes inside its structure, further than an instruction reaches")]
    TooFar {
        /// The field.
        path: &'static str,
        /// Its offset in BTF.
        offset: u32,
    },
}

/// Limit for the end of a field: offsets of instructions have sixteen bits, one of them the sign.
pub(super) const REACH: u32 = 1 << 15;

/// Sets the offsets of `struct sock` and `struct tcp_sock`. Fields that tracing needs are required. Each of the others
/// is left out where the kernel does not have it.
///
/// # Errors
/// [`LayoutError`] for a required field.
pub fn sock_layout(btf: &Btf<'_>, config: &mut Config) -> Result<(), LayoutError> {
    let field = |path: &'static str, expected: u32| -> Result<u32, LayoutError> {
        let found = btf.field(path)?;
        if found.size != expected {
            return Err(LayoutError::Width { path, found: found.size, expected });
        }
        if found.offset > REACH - expected {
            return Err(LayoutError::TooFar { path, offset: found.offset });
        }
        Ok(found.offset)
    };
    let sock = &mut config.fields.sock;
    sock.family = field("sock.__sk_common.skc_family", 2)?;
    sock.dport = field("sock.__sk_common.skc_dport", 2)?;
    sock.num = field("sock.__sk_common.skc_num", 2)?;
    sock.daddr = field("sock.__sk_common.skc_daddr", 4)?;
    sock.rcv_saddr = field("sock.__sk_common.skc_rcv_saddr", 4)?;
    sock.v6_daddr = field("sock.__sk_common.skc_v6_daddr", 16)?;
    sock.v6_rcv_saddr = field("sock.__sk_common.skc_v6_rcv_saddr", 16)?;
    sock.protocol = field("sock.sk_protocol", 2)?;
    config.fields.tcp.sport = field("tcp_sock.inet_conn.icsk_inet.inet_sport", 2)?;
    config.fields.tcp.saddr = field("tcp_sock.inet_conn.icsk_inet.inet_saddr", 4)?;

    config.known |= Known::SOCK;

    if let (Ok(net), Ok(inum)) = (field("sock.__sk_common.skc_net.net", 8), field("net.ns.inum", 4)) {
        (sock.net, sock.net_inum) = (net, inum);
        config.known |= Known::NETNS;
    }
    let mut optional = |path, size, bit, slot: &mut u32| {
        if let Ok(offset) = field(path, size) {
            *slot = offset;
            config.known |= bit;
        }
    };
    optional("sock.sk_lock.owned", 4, Known::LOCK, &mut sock.lock_owned);
    optional("sock.__sk_common.skc_bound_dev_if", 4, Known::DEVICE, &mut sock.bound_dev_if);
    optional("sock.sk_err", 4, Known::ERROR, &mut sock.err);
    optional("sock.__sk_common.skc_cookie", 8, Known::COOKIE_FIELD, &mut sock.cookie);

    if let (Ok(state), Ok(kind), Ok(file)) =
        (field("sock.__sk_common.skc_state", 1), field("sock.sk_type", 2), file_layout(field))
    {
        (sock.state, sock.kind, config.fields.file) = (state, kind, file);
        config.known |= Known::FILE;
    }
    if let Ok(task) = task_layout(field) {
        config.fields.task = task;
        config.known |= Known::TASK;
    }
    if let (Ok(acked), Ok(received), Ok(srtt), Ok(retrans)) = (
        field("tcp_sock.bytes_acked", 8),
        field("tcp_sock.bytes_received", 8),
        field("tcp_sock.srtt_us", 4),
        field("tcp_sock.total_retrans", 4),
    ) {
        config.fields.tcp.bytes_acked = acked;
        config.fields.tcp.bytes_received = received;
        config.fields.tcp.srtt_us = srtt;
        config.fields.tcp.total_retrans = retrans;
        config.known |= Known::METRICS;
    }
    if evidence_layout(field, &mut config.fields).is_ok() {
        config.known |= Known::EVIDENCE;
        facts::layout(btf, config);
    }
    Ok(())
}

/// The fields that show why a connection ended: all or nothing, since one part means little without the others.
fn evidence_layout(
    field: impl Fn(&'static str, u32) -> Result<u32, LayoutError>,
    fields: &mut Fields,
) -> Result<(), LayoutError> {
    let Fields { mut sock, mut tcp, .. } = *fields;
    sock.flags = field("sock.__sk_common.skc_flags", 8)?;
    sock.lingertime = field("sock.sk_lingertime", 8)?;
    sock.shutdown = field("sock.sk_shutdown", 1)?;
    tcp.user_timeout = field("tcp_sock.inet_conn.icsk_user_timeout", 4)?;
    tcp.retransmits = field("tcp_sock.inet_conn.icsk_retransmits", 1)?;
    tcp.probes_out = field("tcp_sock.inet_conn.icsk_probes_out", 1)?;
    tcp.segs_out = field("tcp_sock.segs_out", 4)?;
    tcp.write_seq = field("tcp_sock.write_seq", 4)?;
    tcp.snd_nxt = field("tcp_sock.snd_nxt", 4)?;
    tcp.rcv_nxt = field("tcp_sock.rcv_nxt", 4)?;
    tcp.copied_seq = field("tcp_sock.copied_seq", 4)?;
    (fields.sock, fields.tcp) = (sock, tcp);
    Ok(())
}

/// `struct task_struct` and the structures behind it: all or nothing, since the helpers return the same.
fn task_layout(
    field: impl Fn(&'static str, u32) -> Result<u32, LayoutError>,
) -> Result<TaskLayout, LayoutError> {
    Ok(TaskLayout {
        flags: field("task_struct.flags", 4)?,
        tgid: field("task_struct.tgid", 4)?,
        pid: field("task_struct.pid", 4)?,
        comm: field("task_struct.comm", 16)?,
        cred: field("task_struct.cred", 8)?,
        cred_uid: field("cred.uid.val", 4)?,
        cgroups: field("task_struct.cgroups", 8)?,
        dfl_cgrp: field("css_set.dfl_cgrp", 8)?,
        kn: field("cgroup.kn", 8)?,
        kn_id: field("kernfs_node.id", 8)?,
    })
}

/// `struct file` and the way to its socket: all or nothing, since `/proc` shows the holders of a socket as well.
fn file_layout(
    field: impl Fn(&'static str, u32) -> Result<u32, LayoutError>,
) -> Result<FileLayout, LayoutError> {
    Ok(FileLayout {
        inode: field("file.f_inode", 8)?,
        ino: field("inode.i_ino", 8)?,
        sk: field("socket.sk", 8)?,
    })
}
