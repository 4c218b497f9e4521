//! The rows of the table.

use std::fmt;

use serde::Serialize;
use tcptrace_core::model::text::Escaped;

/// The subject of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// A hook in the kernel.
    Hook,
    /// A feature of a program on the hook.
    Feature,
    /// A fact about the host.
    Host,
}

/// The status of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As good as it gets, or irrelevant here.
    Ok,
    /// It works in part.
    Limited,
    /// It is not there.
    Missing,
    /// It could not be checked.
    Unknown,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Limited => "limited",
            Self::Missing => "missing",
            Self::Unknown => "unknown",
        })
    }
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The subject of the row.
    pub group: Group,
    /// A stable name; `docs/doctor.md` has all of them.
    pub name: &'static str,
    /// The status.
    pub status: Status,
    /// The result, or the reason why there is none; safe to print.
    pub found: String,
    /// The consequence for the user when it is not ok: missing data, or a higher cost.
    pub consequence: Option<&'static str>,
    /// The replacement that is used instead.
    pub instead: Option<&'static str>,
}

/// The parts of a row that do not depend on the host.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject {
    pub(super) group: Group,
    pub(super) name: &'static str,
    pub(super) consequence: Option<&'static str>,
    pub(super) instead: Option<&'static str>,
}

impl Subject {
    /// The row with the result, which is escaped since its text may come from anywhere.
    pub(super) fn row(self, status: Status, found: impl fmt::Display) -> Row {
        let Self { group, name, consequence, instead } = self;
        let found = Escaped(found.to_string().as_bytes()).to_string();
        Row { group, name, status, found, consequence, instead }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_is_safe_to_print() {
        let subject = Subject { group: Group::Host, name: "others", consequence: None, instead: None };
        assert_eq!(subject.row(Status::Ok, "a\u{1b}[31m\nb").found, "a\\x1b[31m\\x0ab");
    }
}
