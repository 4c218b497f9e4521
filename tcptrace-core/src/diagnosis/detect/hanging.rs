//! Next steps for a process that does not go on.

use crate::model::finding::Finding;

/// It is stopped.
pub(super) fn go_on(finding: Finding, pid: u32) -> Finding {
    finding.then("It is stopped: let it go on, or end it", Some(format!("kill -CONT {pid}")))
}

/// It runs, and does something else; `what` says what is to be found out.
pub(super) fn find_out(finding: Finding, what: &'static str, pid: u32) -> Finding {
    finding.then(what, Some(format!("cat /proc/{pid}/wchan; ls /proc/{pid}/task")))
}
