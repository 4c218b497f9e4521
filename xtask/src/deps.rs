//! `cargo xtask deps`: what others wrote and we use, against `deny.toml` and `docs/dependencies.md`.
//!
//! cargo-deny checks the same and the advisories (`cargo xtask deny`), but takes minutes to build; this takes a second, so
//! that every `lint` can have it.

mod rules;
mod table;

use std::{fs, process::Command};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{process, workspace};
use rules::Rules;

/// What `cargo metadata` tells; of that, what is of use here.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
}

#[derive(Clone, Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    /// `None` for what is in a folder.
    source: Option<String>,
    rust_version: Option<String>,
    dependencies: Vec<Dependency>,
}

#[derive(Clone, Deserialize)]
struct Dependency {
    name: String,
    req: String,
    /// `None` where it is in a folder.
    source: Option<String>,
    /// `dev` or `build`.
    kind: Option<String>,
}

impl Metadata {
    fn of(manifest: &str) -> Result<Self> {
        let mut cargo = workspace::cargo();
        cargo.args(["metadata", "--locked", "--all-features", "--format-version", "1"]);
        let text = process::output(cargo.args(["--manifest-path", manifest])).with_context(|| {
            format!("where its lock file is old: cargo update --workspace --manifest-path {manifest}")
        })?;
        parse(&text)
    }

    fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.workspace_members.contains(&package.id))
    }

    /// Packages that others wrote.
    fn foreign(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.source.is_some())
    }
}

fn parse<T: DeserializeOwned>(json: &str) -> Result<T> {
    serde_json::from_str(json).context("cargo metadata")
}

/// # Errors
/// What is against the rules, or not in the table.
pub(crate) fn main() -> Result<()> {
    let rules = Rules::read(&workspace::root().join("deny.toml"))?;
    let (own, fuzz) = (Metadata::of("Cargo.toml")?, Metadata::of("fuzz/Cargo.toml")?);
    let mut faults = rules.duplicates(&own.packages);
    for metadata in [&own, &fuzz] {
        faults.extend(rules.faults(metadata));
    }
    let path = workspace::root().join(table::PATH);
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    faults.extend(table::faults(&text, &table::used(&[&own, &fuzz])));
    faults.sort();
    faults.dedup();
    if faults.is_empty() {
        eprintln!("dependencies: {} packages are as deny.toml and {} say", own.packages.len(), table::PATH);
        return Ok(());
    }
    bail!("dependencies: not as deny.toml and {} say\n  {}", table::PATH, faults.join("\n  "))
}

/// Options of `cargo xtask deny`.
#[derive(clap::Args)]
pub(crate) struct DenyArgs {
    /// Without the advisories, whose list is fetched from github.com.
    #[arg(long)]
    offline: bool,
}

/// Runs cargo-deny.
///
/// # Errors
/// It cannot be installed, or finds something.
pub(crate) fn deny(args: &DenyArgs) -> Result<()> {
    let own = Some(workspace::tool("cargo-deny")?).filter(|own| own.exists());
    let program = match own.or_else(|| process::find("cargo-deny")) {
        Some(found) => found,
        None => workspace::install_tool("cargo-deny", &[], "some minutes")?,
    };
    let mut command = Command::new(program);
    command.current_dir(workspace::root());
    if args.offline {
        return process::run(command.args(["--offline", "check", "bans", "licenses", "sources"]));
    }
    process::run(command.arg("check"))
        .context("where github.com is out of reach, --offline does without the advisories")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_here_is_as_it_should_be() {
        main().expect("nothing is against the rules");
    }
}
