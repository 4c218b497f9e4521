//! The sources that were tested, and the day.

use std::{fmt, process::Command};

use anyhow::{Context, Result};

use crate::{process, workspace};

/// The sources of a run, and its day.
#[derive(Debug)]
pub(crate) struct Tested {
    /// The commit that is checked out.
    commit: String,
    /// Whether files differ from the commit.
    is_changed: bool,
    /// The day in UTC, such as `2026-11-30`.
    date: String,
}

impl Tested {
    /// The sources that are checked out now.
    ///
    /// # Errors
    /// The folder is not a git checkout.
    pub(crate) fn now() -> Result<Self> {
        let git = |arguments: &[&str]| {
            process::output(Command::new("git").args(arguments).current_dir(workspace::root()))
                .context("the table names the commit that is tested: run it in a checkout of git")
        };
        Ok(Self {
            commit: git(&["rev-parse", "--short=12", "HEAD"])?,
            is_changed: !git(&["status", "--porcelain"])?.is_empty(),
            date: process::output(Command::new("date").args(["--utc", "+%F"]))?,
        })
    }
}

impl fmt::Display for Tested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changes = if self.is_changed { " with changes that are not committed" } else { "" };
        write!(f, "Tested: commit `{}`{changes}, on {}.", self.commit, self.date)
    }
}

#[cfg(test)]
impl Tested {
    /// Example sources for tests of the output.
    pub(crate) fn example(is_changed: bool) -> Self {
        Self { commit: "0123456789ab".to_owned(), is_changed, date: "2026-11-30".to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commit_and_day_are_named() {
        assert_eq!(Tested::example(false).to_string(), "Tested: commit `0123456789ab`, on 2026-11-30.");
        assert_eq!(
            Tested::example(true).to_string(),
            "Tested: commit `0123456789ab` with changes that are not committed, on 2026-11-30."
        );
    }

    #[test]
    fn this_checkout_has_a_commit_and_a_day() {
        if !workspace::root().join(".git").exists() {
            eprintln!("these are sources without git, as in an archive: nothing to test");
            return;
        }
        let tested = Tested::now().expect("a checkout");
        assert!(tested.commit.len() >= 12 && tested.commit.chars().all(|digit| digit.is_ascii_hexdigit()));
        assert_eq!(tested.date.len(), "2026-11-30".len(), "{tested}");
    }
}
