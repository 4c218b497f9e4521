//! Whether the kernel itself can report the holders of sockets: tried as `tcptrace sockets` does it.

use super::{
    chain,
    row::{Group, Row, Status, Subject},
};
use crate::bpf::{HoldersError, SocketFiles};

const SUBJECT: Subject = Subject {
    group: Group::Host,
    name: "holders",
    consequence: Some(
        "who holds a socket takes about ten times as long to find out, and sockets of processes that this user may \
         not read have no owner",
    ),
    instead: Some("/proc/PID/fd of each process"),
};

/// The number of descriptors of TCP sockets that the program finds.
pub(super) fn attempt() -> Result<usize, HoldersError> {
    Ok(SocketFiles::load()?.read()?.0.len())
}

/// The row.
pub(super) fn row(attempt: &Result<usize, HoldersError>) -> Row {
    match attempt {
        Ok(1) => SUBJECT.row(Status::Ok, "iter/task_file finds 1 descriptor of a TCP socket"),
        Ok(count) => {
            SUBJECT.row(Status::Ok, format_args!("iter/task_file finds {count} descriptors of TCP sockets"))
        }
        Err(error) => SUBJECT.row(Status::Missing, chain(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_has_its_reason() {
        let missing = row(&Err(HoldersError::PidNamespace));
        assert_eq!(missing.status, Status::Missing);
        assert!(missing.found.contains("pid namespace"), "{}", missing.found);
        assert_eq!(row(&Ok(0)).status, Status::Ok);
    }
}
