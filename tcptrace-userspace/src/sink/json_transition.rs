//! A transition as JSON, written without serde: it is the one line that a storm has millions of.

use std::io::{self, Write as _};

use super::{json::SCHEMA, put};
use crate::{
    event::{Context, Event},
    record::{Owner, Transition},
    state::State,
    text::{Escaped, plain},
};

/// Appends the object, without the end of the line. `time` is RFC 3339.
pub(super) fn write(out: &mut Vec<u8>, time: &str, transition: &Transition) -> io::Result<()> {
    let event = &transition.event;
    out.extend_from_slice(b"{\"schema\":");
    put::number(out, SCHEMA);
    out.extend_from_slice(b",\"type\":\"transition\",\"time\":\"");
    out.extend_from_slice(time.as_bytes());
    out.push(b'"');
    number(out, "ktime_ns", event.ktime_ns);
    number(out, "cookie", event.cookie);
    optional(out, "netns", event.netns);
    number(out, "family", event.family());
    key(out, "laddr");
    quoted(out, |out| put::address(out, event.laddr));
    number(out, "lport", event.lport);
    key(out, "raddr");
    quoted(out, |out| put::address(out, event.raddr));
    number(out, "rport", event.rport);
    key(out, "old_state");
    quoted(out, |out| put::state(out, event.old_state));
    key(out, "new_state");
    quoted(out, |out| put::state(out, event.new_state));
    optional(out, "duration_us", transition.in_old_state_ns.map(|ns| ns / 1_000));
    key(out, "owner");
    match &transition.owner {
        None => out.extend_from_slice(b"null"),
        Some(known) => owner(out, known)?,
    }
    context(out, &event.context)?;
    if event.new_state == State::CLOSE {
        close(out, event);
    }
    out.push(b'}');
    Ok(())
}

fn owner(out: &mut Vec<u8>, owner: &Owner) -> io::Result<()> {
    out.extend_from_slice(b"{\"pid\":");
    put::number(out, owner.pid);
    name(out, "comm", &owner.comm)?;
    number(out, "uid", owner.uid);
    key(out, "provenance");
    quoted(out, |out| out.extend_from_slice(owner.provenance.name().as_bytes()));
    out.push(b'}');
    Ok(())
}

fn context(out: &mut Vec<u8>, context: &Context) -> io::Result<()> {
    out.extend_from_slice(b",\"context\":{\"pid\":");
    put::number(out, context.pid);
    number(out, "tid", context.tid);
    name(out, "comm", &context.comm)?;
    number(out, "uid", context.uid);
    number(out, "cgroup_id", context.cgroup_id);
    key(out, "in_process");
    let in_process = match context.in_process {
        None => "null",
        Some(false) => "false",
        Some(true) => "true",
    };
    out.extend_from_slice(in_process.as_bytes());
    out.push(b'}');
    Ok(())
}

/// Null where the kernel's layout did not give the value.
fn close(out: &mut Vec<u8>, event: &Event) {
    let metrics = event.metrics;
    out.extend_from_slice(b",\"close\":{\"error\":");
    number_or_null(out, event.error);
    optional(out, "bytes_acked", metrics.map(|metrics| metrics.bytes_acked));
    optional(out, "bytes_received", metrics.map(|metrics| metrics.bytes_received));
    optional(out, "srtt_us", metrics.map(|metrics| metrics.srtt_us).filter(|srtt| *srtt != 0));
    optional(out, "retransmits", metrics.map(|metrics| metrics.retransmits));
    out.push(b'}');
}

/// A key that is not an object's first.
fn key(out: &mut Vec<u8>, key: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
}

fn number(out: &mut Vec<u8>, name: &str, value: impl itoa::Integer) {
    key(out, name);
    put::number(out, value);
}

fn optional(out: &mut Vec<u8>, name: &str, value: Option<impl itoa::Integer>) {
    key(out, name);
    number_or_null(out, value);
}

fn number_or_null(out: &mut Vec<u8>, value: Option<impl itoa::Integer>) {
    match value {
        None => out.extend_from_slice(b"null"),
        Some(value) => put::number(out, value),
    }
}

/// What needs no escaping.
fn quoted(out: &mut Vec<u8>, value: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    value(out);
    out.push(b'"');
}

/// A name from the kernel: escaped as everywhere, and then as JSON wants it.
fn name(out: &mut Vec<u8>, name: &str, value: &[u8]) -> io::Result<()> {
    key(out, name);
    match plain(value) {
        Some(plain) if !plain.contains('"') => write!(out, "\"{plain}\""),
        _ => serde_json::to_writer(out, &Escaped(value).to_string()).map_err(Into::into),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_strings_whatever_they_hold() {
        for (comm, expected) in [
            (&b"nginx\0"[..], r#","comm":"nginx""#),
            (b"say \"hi\"", r#","comm":"say \"hi\"""#),
            (b"\x1b[31m\\", r#","comm":"\\x1b[31m\\\\""#),
        ] {
            let mut out = Vec::new();
            name(&mut out, "comm", comm).expect("memory");
            assert_eq!(String::from_utf8(out).expect("text"), expected);
        }
    }
}
