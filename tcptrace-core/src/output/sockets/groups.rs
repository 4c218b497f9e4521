//! Counts by group, in every format.

use std::io::{self, Write as _};

use super::Seen;
use crate::{
    model::{
        flow::LocalEnd,
        scan::{By, Group, Key, Listening},
        state::State,
    },
    output::put,
};

/// Widths: `TOTAL`, and at least that of a column's title.
const COUNT: usize = 8;

/// Appends one line per group, with one column per state that any group has. The key comes last, since it may have any
/// length.
pub(super) fn text(
    seen: &Seen<'_>,
    groups: &[Group],
    by: By,
    wide: bool,
    out: &mut Vec<u8>,
) -> io::Result<()> {
    // For groups by state, the columns would repeat the key.
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
            match group.count(*state) {
                0 => write!(out, " {:>width$}", "-")?,
                count => write!(out, " {count:>width$}")?,
            }
        }
        out.push(b' ');
        out.extend_from_slice(&title(&group.key));
        if let (Key::Listener(Listening { local: LocalEnd { netns: Some(inode), .. }, .. }), true) =
            (&group.key, netns)
        {
            write!(out, " netns={inode}")?;
        }
        out.push(b'\n');
    }
    Ok(())
}

/// A key for people, with nothing in it that a terminal could obey.
pub(in crate::output) fn title(key: &Key) -> Vec<u8> {
    let mut out = Vec::new();
    match key {
        Key::State(state) => put::state(&mut out, *state),
        Key::Process(pid, comm) => {
            put::name(&mut out, comm.as_deref().unwrap_or(b"?"));
            out.push(b'[');
            put::number(&mut out, *pid);
            out.push(b']');
        }
        Key::Listener(Listening { local, ifindex, device }) => {
            put::endpoint_on(&mut out, local.end, ifindex.map(|ifindex| (ifindex, device.as_deref())));
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
