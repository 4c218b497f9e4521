//! The schemas in `docs/`, which `tcptrace-core` generates from its tables of fields.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::workspace;

/// Check that the schemas in docs/ are those of the tables of fields.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write them instead, after a field was added or described otherwise.
    #[arg(long)]
    write: bool,
}

/// # Errors
/// A schema differs from the tables, or cannot be read or written.
pub(crate) fn main(args: &Args) -> Result<()> {
    let docs = workspace::root().join("docs");
    let mut stale = Vec::new();
    for (name, text) in tcptrace_core::output::schemas() {
        let path = docs.join(name);
        if args.write {
            fs::write(&path, text).with_context(|| path.display().to_string())?;
        } else if fs::read_to_string(&path).with_context(|| path.display().to_string())? != text {
            stale.push(name);
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    bail!(
        "docs/{}: not what the tables in tcptrace-core/src/output/fields say; run `cargo xtask schemas --write`",
        stale.join(", docs/")
    )
}

/// The part of `cargo xtask lint`.
///
/// # Errors
/// See [`main`].
pub(crate) fn lint() -> Result<()> {
    main(&Args { write: false })
}
