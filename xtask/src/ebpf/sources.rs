//! Hashes of all inputs that decide the object's bytes, apart from the toolchain.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{PACKAGE, lock};
use crate::workspace;

/// The crates of this workspace that go into the object.
const CRATES: [&str; 2] = ["tcptrace-common", PACKAGE];

/// The sources of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sources {
    /// SHA-256 of `[profile.release]` in the root `Cargo.toml`.
    profile: String,
    /// SHA-256 of each file, by its path in the workspace.
    files: BTreeMap<String, String>,
    /// Checksum of each aya crate, by `name version`. The crates that aya depends on run in the build or are folded
    /// away, and change often: a change there that matters shows in the bytes of a rebuild.
    crates: BTreeMap<String, String>,
}

impl Sources {
    /// Hashes the sources in the workspace at `root`.
    ///
    /// # Errors
    /// A file cannot be read or parsed.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut files = BTreeMap::new();
        for name in CRATES {
            add_file(root, &root.join(name).join("Cargo.toml"), &mut files)?;
            for file in workspace::files(&root.join(name).join("src"), "rs")? {
                add_file(root, &file, &mut files)?;
            }
        }
        let manifest = fs::read_to_string(root.join("Cargo.toml")).context("Cargo.toml")?;
        let lock = fs::read_to_string(root.join("Cargo.lock")).context("Cargo.lock")?;
        let mut crates = lock::closure(&lock, PACKAGE)?;
        crates.retain(|name, _| name.starts_with("aya-"));
        Ok(Self { profile: profile(&manifest)?, files, crates })
    }

    /// One line for each source that differs from `recorded`.
    pub(crate) fn changes(&self, recorded: &Self) -> Vec<String> {
        let mut lines = changed(&recorded.files, &self.files);
        lines.extend(changed(&recorded.crates, &self.crates).into_iter().map(|line| format!("crate {line}")));
        if self.profile != recorded.profile {
            lines.push("[profile.release] of Cargo.toml: changed".to_owned());
        }
        lines
    }
}

/// SHA-256 in lower-case hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn profile(manifest: &str) -> Result<String> {
    let manifest: toml::Table = toml::from_str(manifest).context("Cargo.toml")?;
    let release = manifest.get("profile").and_then(|profiles| profiles.get("release"));
    // The profile is printed anew, so that comments and order do not count.
    let text = release.map(toml::to_string).transpose().context("[profile.release]")?;
    Ok(sha256(text.unwrap_or_default().as_bytes()))
}

fn add_file(root: &Path, file: &Path, files: &mut BTreeMap<String, String>) -> Result<()> {
    let bytes = fs::read(file).with_context(|| file.display().to_string())?;
    let name = file.strip_prefix(root).unwrap_or(file).display().to_string();
    files.insert(name, sha256(&bytes));
    Ok(())
}

fn changed(before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<String> {
    let names: BTreeSet<_> = before.keys().chain(now.keys()).collect();
    names
        .into_iter()
        .filter_map(|name| match (before.get(name), now.get(name)) {
            (None, Some(_)) => Some(format!("{name}: new")),
            (Some(_), None) => Some(format!("{name}: gone")),
            (before, now) if before != now => Some(format!("{name}: changed")),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_is_the_standard_one() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn comments_in_the_profile_do_not_count_and_values_do() {
        let plain = profile("[profile.release]\nlto = true\nstrip = false").expect("TOML");
        let commented = profile("# x\n[profile.release]\nstrip = false # y\nlto = true").expect("TOML");
        let other = profile("[profile.release]\nlto = false\nstrip = false").expect("TOML");
        assert_eq!(plain, commented);
        assert_ne!(plain, other);
    }

    #[test]
    fn changes_are_named() {
        let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, sum)| ((*name).to_owned(), (*sum).to_owned())).collect()
        };
        let lines =
            changed(&map(&[("a", "1"), ("b", "1"), ("c", "1")]), &map(&[("b", "2"), ("c", "1"), ("d", "1")]));
        assert_eq!(lines, ["a: gone", "b: changed", "d: new"]);
    }

    #[test]
    fn this_workspace_is_covered() {
        let sources = Sources::read(workspace::root()).expect("the workspace is complete");
        for file in ["tcptrace-ebpf/src/main.rs", "tcptrace-ebpf/Cargo.toml", "tcptrace-common/src/lib.rs"] {
            assert!(sources.files.contains_key(file), "{file}");
        }
        assert!(sources.crates.keys().any(|name| name.starts_with("aya-ebpf ")), "{:?}", sources.crates);
        assert!(sources.changes(&sources).is_empty());
    }
}
