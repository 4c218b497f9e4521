//! `cargo xtask deny`: cargo-deny checks dependencies by `deny.toml`.

use std::process::Command;

use anyhow::{Context, Result};

use crate::{process, workspace};

/// The version to install where there is none.
const VERSION: &str = "0.20.2";

/// The checks that need nothing but crates.io.
const CHECKS: [&str; 3] = ["bans", "licenses", "sources"];

/// Check the licences, versions and sources of dependencies, and known vulnerabilities, by cargo-deny and deny.toml.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leave out the vulnerabilities, whose list is fetched from github.com.
    #[arg(long)]
    offline: bool,
}

/// # Errors
/// cargo-deny cannot be installed, or finds something.
pub(crate) fn main(args: &Args) -> Result<()> {
    check(&CHECKS)?;
    if args.offline {
        return Ok(());
    }
    check(&["advisories"]).context("where github.com is out of reach, --offline does without the advisories")
}

/// The part of `cargo xtask lint`.
///
/// # Errors
/// See [`main`].
pub(crate) fn lint() -> Result<()> {
    check(&CHECKS)
}

/// Runs checks on the workspace and on the fuzz targets, which have a lock file of their own.
fn check(checks: &[&str]) -> Result<()> {
    let own = Some(workspace::tool("cargo-deny")?).filter(|own| own.exists());
    let program = match own.or_else(|| process::find("cargo-deny")) {
        Some(found) => found,
        // cargo-deny mostly waits for disks and networks, so it is built without optimization.
        None => workspace::install_tool("cargo-deny", &["--version", VERSION, "--debug"], "some minutes")?,
    };
    // The fuzz targets have only some of the packages that deny.toml lists.
    let workspaces: [(&str, &[&str]); 2] = [
        ("Cargo.toml", &["--deny", "unmatched-skip"]),
        ("fuzz/Cargo.toml", &["--allow", "license-not-encountered", "--allow", "unmatched-skip"]),
    ];
    for (manifest, options) in workspaces {
        let mut command = Command::new(&program);
        command.current_dir(workspace::root()).args(["--manifest-path", manifest, "--locked", "check"]);
        process::run(command.args(options).args(checks))
            .with_context(|| format!("dependencies of {manifest} are not as deny.toml says"))?;
    }
    Ok(())
}
