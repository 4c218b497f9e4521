//! The crates that go into the object, from `Cargo.lock`.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;

#[derive(Deserialize)]
struct Lock {
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    checksum: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
}

/// All crates from a registry that `root` depends on, at any depth: `name version` to checksum.
///
/// # Errors
/// `lock` is no lock file, or lacks a crate that it refers to.
pub(crate) fn closure(lock: &str, root: &str) -> Result<BTreeMap<String, String>> {
    let lock: Lock = toml::from_str(lock).context("Cargo.lock")?;
    let mut crates = BTreeMap::new();
    let mut todo = vec![root.to_owned()];
    let mut seen = Vec::new();
    while let Some(dependency) = todo.pop() {
        let package = find(&lock, &dependency)
            .with_context(|| format!("Cargo.lock mentions {dependency} but does not describe it"))?;
        let key = format!("{} {}", package.name, package.version);
        if seen.contains(&key) {
            continue;
        }
        todo.extend(package.dependencies.iter().cloned());
        if let Some(checksum) = &package.checksum {
            crates.insert(key.clone(), checksum.clone());
        }
        seen.push(key);
    }
    Ok(crates)
}

/// A dependency is `name`, or `name version` where several versions are locked; a source may follow.
fn find<'lock>(lock: &'lock Lock, dependency: &str) -> Option<&'lock Package> {
    let mut words = dependency.split_whitespace();
    let name = words.next()?;
    let version = words.next();
    lock.package.iter().find(|package| package.name == name && version.is_none_or(|it| it == package.version))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"
        version = 4
        [[package]]
        name = "kernel-side"
        version = "0.1.0"
        dependencies = ["aya", "shared"]
        [[package]]
        name = "shared"
        version = "0.1.0"
        [[package]]
        name = "aya"
        version = "1.0.0"
        checksum = "aa"
        dependencies = ["syn 2.0.0"]
        [[package]]
        name = "syn"
        version = "1.0.0"
        checksum = "bb"
        [[package]]
        name = "syn"
        version = "2.0.0"
        checksum = "cc"
        dependencies = ["aya"]
        [[package]]
        name = "unrelated"
        version = "3.0.0"
        checksum = "dd"
    "#;

    #[test]
    fn only_what_goes_in_is_listed_and_circles_end() {
        let crates = closure(LOCK, "kernel-side").expect("a lock file");
        let crates: Vec<_> = crates.iter().map(|(name, sum)| (name.as_str(), sum.as_str())).collect();
        assert_eq!(crates, [("aya 1.0.0", "aa"), ("syn 2.0.0", "cc")]);
    }

    #[test]
    fn an_unknown_crate_is_an_error() {
        assert!(closure(LOCK, "absent").is_err());
        assert!(closure("no lock file", "aya").is_err());
    }
}
