//! The rows of the table.

use std::fmt;

use serde::Serialize;
use tcptrace_core::model::text::Escaped;

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// A way into the kernel.
    Hook,
    /// Something that a program on the hook knows or does.
    Feature,
    /// A fact about the host.
    Host,
}

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As good as it gets, or irrelevant here.
    Ok,
    /// It works, with less than elsewhere.
    Limited,
    /// It is not there.
    Missing,
    /// It could not be found out.
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
    /// What it is about.
    pub group: Group,
    /// A stable name; `docs/doctor.md` has all of them.
    pub name: &'static str,
    /// How it stands.
    pub status: Status,
    /// What was found, or why not; safe to print.
    pub found: String,
    /// What it means for the user when it is not ok: what is not seen, or costs more.
    pub consequence: Option<&'static str>,
    /// What is used instead.
    pub instead: Option<&'static str>,
}

/// What does not depend on the host: a row before it is filled in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject {
    pub(super) group: Group,
    pub(super) name: &'static str,
    pub(super) consequence: Option<&'static str>,
    pub(super) instead: Option<&'static str>,
}

impl Subject {
    /// The row, with what was found, which may come from anywhere.
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
