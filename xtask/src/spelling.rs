//! Spelling of sources and documents, by codespell and `.codespellrc`.

use std::process::Command;

use anyhow::{Context, Result};

use crate::{process, workspace};

/// # Errors
/// A word is misspelt, or codespell is missing.
pub(crate) fn lint() -> Result<()> {
    let program = process::find("codespell").context("no codespell: apt-get install codespell")?;
    let mut command = Command::new(program);
    process::run(command.current_dir(workspace::root())).context("spelling")
}
