//! Next steps for a process that makes no progress.

use crate::model::finding::Finding;

/// The step for a process that is stopped.
pub(super) fn go_on(finding: Finding, pid: u32) -> Finding {
    finding.then("It is stopped: let it go on, or end it", Some(format!("kill -CONT {pid}")))
}

/// The step for a process that runs and does something else; `what` names what to find out.
pub(super) fn find_out(finding: Finding, what: &'static str, pid: u32) -> Finding {
    finding.then(what, Some(format!("cat /proc/{pid}/wchan; ls /proc/{pid}/task")))
}
