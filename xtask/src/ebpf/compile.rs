//! One build of the kernel object, without a trace of the machine that made it.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{Linker, PACKAGE, TARGET, Toolchain, strip};
use crate::{process, workspace};

/// Builds into `target`, from scratch or from an earlier build there, and returns the object's bytes.
///
/// # Errors
/// The build fails.
pub(crate) fn build(toolchain: &Toolchain, linker: &Linker, target: &Path) -> Result<Vec<u8>> {
    let flags = flags(&remaps(&cargo_home()?, &toolchain.core_sources(), target));
    let mut command = toolchain.cargo();
    command
        .args(["build", "--release", "--locked", "--package", PACKAGE, "--bin", PACKAGE])
        .args(["--target", TARGET])
        .args(toolchain.build_std())
        .arg("--target-dir")
        .arg(target)
        .env("CARGO_INCREMENTAL", "0")
        .env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", &linker.path)
        .env("CARGO_ENCODED_RUSTFLAGS", flags);
    process::run(&mut command)?;
    let file = target.join(TARGET).join("release").join(PACKAGE);
    let elf = fs::read(&file).with_context(|| file.display().to_string())?;
    strip::strip(&elf)
}

/// Flags of rustc in cargo's own encoding, which allows spaces in paths.
fn flags(remaps: &[(PathBuf, &str)]) -> OsString {
    // Type information for the kernel: names of functions, and source lines in the verifier's messages.
    let mut flags = OsString::from("-C\x1flink-arg=--btf");
    for (from, to) in remaps {
        flags.push("\x1f--remap-path-prefix=");
        flags.push(from);
        flags.push("=");
        flags.push(to);
    }
    flags
}

/// Names that stand for this machine's folders. If several match a path, rustc takes the last.
fn remaps(cargo_home: &Path, core_sources: &Path, target: &Path) -> Vec<(PathBuf, &'static str)> {
    let mut remaps = vec![(workspace::root().to_owned(), "tcptrace"), (target.to_owned(), "target")];
    // One folder for each registry; its name depends on the registry's address.
    let registries = fs::read_dir(cargo_home.join("registry/src")).into_iter().flatten().flatten();
    remaps.extend(registries.map(|registry| (registry.path(), "registry")));
    remaps.push((core_sources.to_owned(), "rust"));
    remaps
}

fn cargo_home() -> Result<PathBuf> {
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo"));
    env::var_os("CARGO_HOME").map(PathBuf::from).or_else(home).context("neither CARGO_HOME nor HOME is set")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_keep_spaces() {
        let flags = flags(&[(PathBuf::from("/a b"), "tcptrace")]);
        assert_eq!(flags, "-C\x1flink-arg=--btf\x1f--remap-path-prefix=/a b=tcptrace");
    }

    #[test]
    fn every_registry_gets_the_same_name() {
        let home = tempfile::tempdir().expect("a temporary folder");
        for registry in ["one-123", "two-456"] {
            fs::create_dir_all(home.path().join("registry/src").join(registry)).expect("a folder");
        }
        let remaps = remaps(home.path(), Path::new("/rust-src"), Path::new("/target"));
        assert_eq!(remaps.iter().filter(|(_, name)| *name == "registry").count(), 2);
        assert_eq!(remaps.last(), Some(&(PathBuf::from("/rust-src"), "rust")));
    }
}
