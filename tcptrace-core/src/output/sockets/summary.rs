//! The end of a table: how many, and what could not be seen.

use std::{fmt::Write as _, io};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Seen;
use crate::{
    model::{
        clock::TimeFormat,
        scan::{By, Gaps, SocketScan},
        state::State,
        text::Escaped,
    },
    output::schema::SCHEMA,
};

/// `8 sockets in 2 network namespaces: 3 LISTEN, 5 ESTABLISHED; 12 hidden by filters`. By process, where some are counted
/// more than once, how many.
pub fn sentence(scan: &SocketScan, by: Option<By>) -> String {
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let (sockets, namespaces) = (scan.sockets.len(), scan.namespaces.len());
    let mut text = format!(
        "{sockets} socket{} in {namespaces} network namespace{}",
        plural(sockets),
        plural(namespaces)
    );
    for (index, (state, count)) in scan.states().into_iter().enumerate() {
        // Writing to memory does not fail.
        let _ = write!(text, "{} {count} {state}", if index == 0 { ":" } else { "," });
    }
    if scan.hidden > 0 {
        let _ = write!(text, "; {} hidden by filters", scan.hidden);
    }
    let shared = if by == Some(By::Process) { scan.shared() } else { 0 };
    if shared > 0 {
        let _ = write!(text, "; {shared} held by several processes and counted for each");
    }
    text
}

#[derive(Serialize)]
struct Line<'a> {
    schema: u32,
    r#type: &'static str,
    time: &'a str,
    ktime_ns: u64,
    elapsed_us: u64,
    sockets: usize,
    hidden: usize,
    states: Value,
    namespaces: Vec<Value>,
    gaps: Value,
}

/// Appends the last line.
pub(super) fn json(seen: &Seen<'_>, out: &mut Vec<u8>) -> io::Result<()> {
    let scan = seen.scan;
    let mut time = TimeFormat::rfc3339(seen.clock);
    let line = Line {
        schema: SCHEMA,
        r#type: "sockets_summary",
        time: time.format(seen.end_ns),
        ktime_ns: seen.end_ns,
        elapsed_us: seen.end_ns.saturating_sub(seen.start_ns) / 1_000,
        sockets: scan.sockets.len(),
        hidden: scan.hidden,
        states: states(&scan.states()),
        namespaces: scan
            .namespaces
            .iter()
            .map(|read| {
                json!({ "netns": read.inode, "begin_ktime_ns": read.begin_ns, "end_ktime_ns": read.end_ns })
            })
            .collect(),
        gaps: gaps(&scan.gaps),
    };
    serde_json::to_writer(&mut *out, &line)?;
    out.push(b'\n');
    Ok(())
}

/// Counts by the names of states.
pub(super) fn states(counts: &[(State, u64)]) -> Value {
    counts.iter().map(|(state, count)| (state.to_string(), Value::from(*count))).collect::<Map<_, _>>().into()
}

fn gaps(gaps: &Gaps) -> Value {
    let namespaces: Vec<Value> = gaps
        .snapshot
        .namespaces
        .iter()
        .map(|unseen| {
            let reason = Escaped(unseen.obstacle.to_string().as_bytes()).to_string();
            json!({ "netns": unseen.netns, "reason": reason })
        })
        .collect();
    json!({
        "namespaces": namespaces,
        "processes_with_unknown_netns": gaps.snapshot.unreadable_processes,
        "interrupted_dumps": gaps.snapshot.interrupted_dumps,
        "undecodable": gaps.snapshot.undecodable,
        "sockets_without_owner": gaps.without_owner,
        "processes_with_unknown_sockets": gaps.unreadable_processes,
    })
}
