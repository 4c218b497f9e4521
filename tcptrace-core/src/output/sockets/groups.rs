//! Counts by group, in every format.

use std::io::{self, Write as _};

use serde_json::{Value, json};

use super::{Seen, summary::states};
use crate::{
    model::{
        scan::{By, Group, Key, Listening},
        state::State,
        text::Escaped,
    },
    output::{
        csv_put::{next, next_name, next_number},
        put,
        schema::SCHEMA,
    },
};

/// Widths: `TOTAL`, and at least that of a column's title.
const COUNT: usize = 8;

/// A line a group, a column a state that any of them has; what is counted by comes last, since it is of any length.
pub(super) fn text(
    seen: &Seen<'_>,
    groups: &[Group],
    by: By,
    wide: bool,
    out: &mut Vec<u8>,
) -> io::Result<()> {
    // By state, the columns would say the same once more.
    let columns: Vec<State> = if by == By::State {
        Vec::new()
    } else {
        seen.scan.states().into_iter().map(|(state, _)| state).collect()
    };
    write!(out, "{:>COUNT$}", "TOTAL")?;
    for state in &columns {
        write!(out, " {state:>COUNT$}")?;
    }
    writeln!(out, " {}", by.name().to_uppercase())?;
    // Where there are several namespaces, addresses are not enough.
    let netns = wide || seen.scan.namespaces.len() > 1;
    for group in groups {
        write!(out, "{:>COUNT$}", group.total)?;
        for state in &columns {
            let width = COUNT.max(state.to_string().len());
            match count(group, *state) {
                0 => write!(out, " {:>width$}", "-")?,
                count => write!(out, " {count:>width$}")?,
            }
        }
        out.push(b' ');
        out.extend_from_slice(&title(&group.key));
        if let (Key::Listener(Listening { netns: Some(inode), .. }), true) = (&group.key, netns) {
            write!(out, " netns={inode}")?;
        }
        out.push(b'\n');
    }
    Ok(())
}

fn count(group: &Group, wanted: State) -> u64 {
    group.states.iter().find(|(state, _)| *state == wanted).map_or(0, |(_, count)| *count)
}

/// A key as people read it, with nothing in it that a terminal could obey.
fn title(key: &Key) -> Vec<u8> {
    let mut out = Vec::new();
    match key {
        Key::State(state) => put::state(&mut out, *state),
        Key::Process(pid, comm) => {
            put::name(&mut out, comm.as_deref().unwrap_or(b"?"));
            out.push(b'[');
            put::number(&mut out, *pid);
            out.push(b']');
        }
        Key::Listener(Listening { laddr, lport, ifindex, device, .. }) => {
            put::endpoint_on(&mut out, *laddr, *lport, ifindex.map(|ifindex| (ifindex, device.as_deref())));
        }
        Key::Peer(address) => put::address(&mut out, *address),
        Key::Container(container) => {
            let runtime = container.runtime.to_string();
            out.extend_from_slice(runtime.as_bytes());
            out.push(b':');
            put::name(&mut out, container.id.as_bytes());
        }
        Key::Unit(unit) => put::name(&mut out, unit.as_bytes()),
        Key::None => out.push(b'-'),
    }
    out
}

/// A line a group. Its key is there as people read it, and in its parts.
pub(super) fn json(groups: &[Group], by: By, out: &mut Vec<u8>) -> io::Result<()> {
    for group in groups {
        let line = json!({
            "schema": SCHEMA,
            "type": "sockets_group",
            "by": by.name(),
            "key": String::from_utf8_lossy(&title(&group.key)),
            "parts": parts(&group.key),
            "total": group.total,
            "states": states(&group.states),
        });
        serde_json::to_writer(&mut *out, &line)?;
        out.push(b'\n');
    }
    Ok(())
}

fn parts(key: &Key) -> Value {
    let escaped = |name: &[u8]| Escaped(name).to_string();
    match key {
        Key::State(state) => json!({ "state": state.to_string() }),
        Key::Process(pid, comm) => json!({ "pid": pid, "comm": comm.as_deref().map(escaped) }),
        Key::Listener(Listening { netns, laddr, lport, ifindex, device }) => json!({
            "netns": netns,
            "laddr": laddr,
            "lport": lport,
            "ifindex": ifindex,
            "device": device.as_deref().map(|device| escaped(device.as_bytes())),
        }),
        Key::Peer(address) => json!({ "raddr": address }),
        Key::Container(container) => json!({
            "runtime": container.runtime.to_string(),
            "id": escaped(container.id.as_bytes()),
            "pod_uid": container.pod_uid.as_ref().map(|uid| escaped(uid.as_bytes())),
        }),
        Key::Unit(unit) => json!({ "unit": escaped(unit.as_bytes()) }),
        Key::None => Value::Null,
    }
}

/// A row a group, and a column for each state that has a name, then one for all others.
pub(super) fn csv(groups: &[Group], by: By, out: &mut Vec<u8>) {
    let named = || (1..=11).map(State);
    out.extend_from_slice(b"type,by,key,netns,total");
    for state in named() {
        next(out, |out| put::state(out, state));
    }
    out.extend_from_slice(b",other\n");
    for group in groups {
        out.extend_from_slice(b"sockets_group,");
        out.extend_from_slice(by.name().as_bytes());
        next_key(out, &group.key);
        next_number(out, if let Key::Listener(listening) = &group.key { listening.netns } else { None });
        next_number(out, Some(group.total));
        let mut other = group.total;
        for state in named() {
            let count = count(group, state);
            other -= count;
            next_number(out, Some(count));
        }
        next_number(out, Some(other));
        out.push(b'\n');
    }
}

/// A name is quoted where it must be; nothing is empty.
fn next_key(out: &mut Vec<u8>, key: &Key) {
    match key {
        Key::None => next_name(out, None),
        key => next_name(out, Some(&title(key))),
    }
}
