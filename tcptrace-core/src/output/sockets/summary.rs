//! The end of a table: the number of sockets, and the gaps.

use std::fmt::Write as _;

use super::Seen;
use crate::{
    model::{
        clock::TimeFormat,
        scan::{By, SocketScan},
    },
    output::fields::{object, tables::sockets_summary},
};

/// `8 sockets in 2 network namespaces: 3 LISTEN, 5 ESTABLISHED; 12 hidden by filters`. By process, the sentence also has the
/// number of sockets that are counted more than once.
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

/// Appends the summary as the last line.
pub(super) fn json(seen: &Seen<'_>, out: &mut Vec<u8>) {
    let mut time = TimeFormat::rfc3339(seen.clock);
    let Seen { scan, start_ns, end_ns, .. } = *seen;
    object(&sockets_summary::Line { time: time.format(end_ns), start_ns, end_ns, scan }, out);
    out.push(b'\n');
}
