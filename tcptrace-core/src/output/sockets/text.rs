//! Columns for people: `text`, and `wide` with more of them.

use std::io::{self, Write as _};

use anstyle::{AnsiColor, Style as Ansi};

use super::columns::{AtLeast, Running};
use crate::{
    model::{
        owner::Provenance,
        payload::{Count, Payload},
        process::Process,
        scan::{Owner, Owners, SocketScan},
        socket::Socket,
        state::State,
        text::{Escaped, Span},
    },
    output::{
        columns::{self, ADDRESS, STATE, Side},
        put,
    },
};

/// Widths: `>=23h59m`, a queue, `keepalive,1h59m,0`.
const AGE: usize = 8;
const QUEUE: usize = 7;
const TIMER: usize = 17;
const OWNER: usize = 20;

/// A table whose columns are as wide as this scan needs them.
pub(super) struct Table<'a> {
    owners: &'a Owners,
    colour: bool,
    wide: bool,
    local: usize,
    remote: usize,
}

impl<'a> Table<'a> {
    pub(super) fn new(scan: &'a SocketScan, colour: bool, wide: bool) -> Self {
        let mut scratch = Vec::new();
        let (mut local, mut remote) = (ADDRESS, ADDRESS);
        // IPv4 without a device fits anyway.
        let is_long = |socket: &Socket| socket.flow.local.address.is_ipv6() || socket.ifindex.is_some();
        for socket in scan.sockets.iter().filter(|socket| is_long(socket)) {
            let mut width = |end, device| {
                scratch.clear();
                put::endpoint_on(&mut scratch, end, device);
                scratch.len()
            };
            local = local.max(width(socket.flow.local, device(socket)));
            remote = remote.max(width(socket.flow.remote, None));
        }
        Self { owners: &scan.owners, colour, wide, local, remote }
    }

    pub(super) fn header(&self, out: &mut Vec<u8>) {
        let (local, remote) = (self.local, self.remote);
        // Writing to memory does not fail.
        let _ = writeln!(
            out,
            "{:<STATE$} {:>AGE$} {:>QUEUE$} {:>QUEUE$} {:<local$} {:<remote$} {:<TIMER$} {}",
            "STATE",
            "AGE",
            "RECV-Q",
            "SEND-Q",
            "LOCAL",
            "REMOTE",
            "TIMER",
            if self.wide { "OWNER                DETAILS" } else { "OWNER" },
        );
    }

    pub(super) fn line(&self, socket: &Socket, out: &mut Vec<u8>) -> io::Result<()> {
        self.coloured(colour(socket.state), out, |out| {
            columns::state(out, socket.state, Side::Left);
            Ok(())
        })?;
        out.push(b' ');
        let start = out.len();
        write!(out, "{}", AtLeast(socket.age_at_least_ns))?;
        put::align_right(out, start, AGE);
        out.push(b' ');
        // A listener whose queue is full answers no SYN.
        let full = socket.state == State::LISTEN && socket.recv_queue > socket.send_queue;
        let alarm = if full { AnsiColor::Red.on_default() } else { Ansi::new() };
        self.coloured(alarm, out, |out| {
            let start = out.len();
            put::number(out, socket.recv_queue);
            put::align_right(out, start, QUEUE);
            Ok(())
        })?;
        out.push(b' ');
        let start = out.len();
        put::number(out, socket.send_queue);
        put::align_right(out, start, QUEUE);
        out.push(b' ');
        for (end, device, width) in
            [(socket.flow.local, device(socket), self.local), (socket.flow.remote, None, self.remote)]
        {
            let start = out.len();
            put::endpoint_on(out, end, device);
            put::pad(out, start, width);
            out.push(b' ');
        }
        let start = out.len();
        write!(out, "{}", Running(socket.timer))?;
        put::pad(out, start, TIMER);
        out.push(b' ');
        let start = out.len();
        owner(self.owners.of(socket), out);
        if self.wide {
            put::pad(out, start, OWNER);
            details(socket, self.owners.of(socket).find_map(|owner| owner.process), out)?;
        }
        out.push(b'\n');
        Ok(())
    }

    fn coloured(
        &self,
        style: Ansi,
        out: &mut Vec<u8>,
        cell: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
    ) -> io::Result<()> {
        if !self.colour {
            return cell(out);
        }
        write!(out, "{style}")?;
        cell(out)?;
        write!(out, "{style:#}")
    }
}

/// The device that a socket is bound to, which is shown with the local address.
fn device(socket: &Socket) -> Option<(u32, Option<&str>)> {
    Some((socket.ifindex?, socket.device.as_deref()))
}

/// Appends `nginx[812]`; `nginx[812] +3` for several owners; `~nginx[812]` for the owner of the listener that the socket
/// came from; `-` without an owner.
pub(super) fn owner<'a>(mut owners: impl Iterator<Item = Owner<'a>>, out: &mut Vec<u8>) {
    let Some(first) = owners.next() else { return out.push(b'-') };
    if first.provenance == Provenance::Inherited {
        out.push(b'~');
    }
    name(first.process, first.holder.pid, out);
    let more = owners.count();
    if more > 0 {
        out.extend_from_slice(b" +");
        put::number(out, more);
    }
}

/// Appends `nginx[812]`; `?[812]` when the process ended before its name was read.
pub(super) fn name(process: Option<&Process>, pid: u32, out: &mut Vec<u8>) {
    match process {
        Some(process) => put::name(out, &process.comm),
        None => out.push(b'?'),
    }
    out.push(b'[');
    put::number(out, pid);
    out.push(b']');
}

/// The details of `wide`, as `name=value`, which reads without a header. An unknown value is `-`.
fn details(socket: &Socket, process: Option<&Process>, out: &mut Vec<u8>) -> io::Result<()> {
    optional(out, "uid", socket.uid);
    optional(out, "netns", socket.flow.netns);
    if let Some(container) = process.and_then(|process| process.container.as_ref()) {
        write!(out, " container={}:{}", container.runtime, Escaped(container.id.as_bytes()))?;
    }
    if let Some(unit) = process.and_then(|process| process.unit.as_ref()) {
        write!(out, " unit={}", Escaped(unit.as_bytes()))?;
    }
    optional(out, "cookie", Some(socket.cookie));
    optional(out, "inode", socket.inode);
    optional(out, "cgroup", socket.cgroup_id);
    optional(out, "drops", socket.drops);
    if socket.mptcp {
        out.extend_from_slice(b" mptcp=yes");
    }
    if let Some((info, payload)) = socket.info.as_ref().zip(Payload::of_socket(socket)) {
        // A count that may include a SYN is marked.
        let mark = |count: Count| if count.exact { "" } else { "~" };
        let Payload { sent, received } = payload;
        write!(out, " tx={}{} rx={}{}", mark(sent), sent.bytes, mark(received), received.bytes)?;
        out.extend_from_slice(b" srtt=");
        match info.srtt_us {
            None => out.push(b'-'),
            Some(srtt_us) => write!(out, "{}", Span(u64::from(srtt_us) * 1_000))?,
        }
        write!(
            out,
            " retransmits={} unsent={} window={}",
            info.total_retrans, info.notsent_bytes, info.snd_wnd
        )?;
    }
    Ok(())
}

fn optional(out: &mut Vec<u8>, name: &str, value: Option<impl itoa::Integer>) {
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.push(b'=');
    match value {
        None => out.push(b'-'),
        Some(value) => put::number(out, value),
    }
}

/// The colour of a state: some states serve, some talk, some wait for a program.
fn colour(state: State) -> Ansi {
    match state {
        State::LISTEN => AnsiColor::Cyan.on_default(),
        State::ESTABLISHED => AnsiColor::Green.on_default(),
        State::CLOSE_WAIT => AnsiColor::Yellow.on_default(),
        State::SYN_SENT | State::SYN_RECV => AnsiColor::Magenta.on_default(),
        _ => Ansi::new(),
    }
}
