//! The document that has the tables.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

const BEGIN: &str = "<!-- bench:begin -->\n";
const END: &str = "<!-- bench:end -->";

/// Replaces the text between the markers of `file`.
///
/// # Errors
/// When the file has no markers, or cannot be read and written.
pub(crate) fn write(file: &Path, table: &str) -> Result<()> {
    let text = fs::read_to_string(file)?;
    let (before, rest) = text.split_once(BEGIN).context("the marker bench:begin is missing")?;
    let (_, after) = rest.split_once(END).context("the marker bench:end is missing")?;
    fs::write(file, format!("{before}{BEGIN}{table}{END}{after}"))?;
    Ok(())
}
