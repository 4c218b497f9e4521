//! This workspace: its folder, and the programs that cargo builds from it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process;

/// The folder of the root `Cargo.toml`.
pub(crate) fn root() -> &'static Path {
    let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_root.parent().unwrap_or(crate_root)
}

/// The cargo that runs this program, started in the root of the workspace.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Files below a folder with this extension, in order.
///
/// # Errors
/// A folder cannot be read.
pub(crate) fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(self::files(&path, extension)?);
        } else if path.extension().is_some_and(|its| its == extension) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Rust files below a folder, except files and folders that are called `tests`.
///
/// # Errors
/// A folder cannot be read.
pub(crate) fn files_without_tests(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = files(folder, "rs")?;
    files.retain(|file| {
        let mut parts = file.strip_prefix(folder).unwrap_or(file).components();
        !parts.any(|part| Path::new(&part).file_stem().is_some_and(|stem| stem == "tests"))
    });
    Ok(files)
}

/// Cargo's target folder for this workspace, as cargo's settings choose it.
///
/// # Errors
/// `cargo metadata` fails.
pub(crate) fn target() -> Result<PathBuf> {
    let text = process::output(cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_str(&text).context("cargo metadata")?;
    let target = metadata["target_directory"].as_str().context("cargo metadata has no target_directory")?;
    Ok(PathBuf::from(target))
}

/// The path of a cargo tool that [`install_tool`] has installed.
///
/// # Errors
/// `cargo metadata` fails.
pub(crate) fn tool(name: &str) -> Result<PathBuf> {
    Ok(target()?.join("tools/bin").join(name))
}

/// Installs a cargo tool into the target folder, with these options, and returns its path. `time` is the usual duration
/// of that.
///
/// # Errors
/// The tool cannot be fetched or built.
pub(crate) fn install_tool(name: &str, options: &[&str], time: &str) -> Result<PathBuf> {
    let root = target()?.join("tools");
    eprintln!("installing {name} into {} ({time})", root.display());
    let mut command = cargo();
    // The tool's build must not land in a folder that holds this workspace's target.
    command.env_remove("CARGO_TARGET_DIR").args(["install", name, "--locked"]).args(options);
    process::run(command.args(["--quiet", "--root"]).arg(&root))
        .with_context(|| format!("try: cargo install {name} --locked {}", options.join(" ")))?;
    tool(name)
}

/// Builds the tracer for release and returns the path of the program.
///
/// # Errors
/// The build fails.
pub(crate) fn build_tracer() -> Result<PathBuf> {
    let messages = build(cargo().args(BUILD_TRACER))?;
    executable(&messages, "tcptrace")
}

/// Arguments of cargo that build the tracer for release.
pub(crate) const BUILD_TRACER: [&str; 6] =
    ["build", "--release", "--package", "tcptrace-userspace", "--bin", "tcptrace"];

/// Runs a cargo command that builds, and returns its JSON messages for [`executable`].
///
/// # Errors
/// The build fails.
pub(crate) fn build(command: &mut Command) -> Result<String> {
    process::output(command.args(["--message-format", "json-render-diagnostics"])).context("the build failed")
}

/// The program `name` in cargo's JSON messages.
///
/// # Errors
/// The messages name no such program.
pub(crate) fn executable(messages: &str, name: &str) -> Result<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .with_context(|| format!("cargo named no program {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_among_cargos_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"tcptrace","kind":["lib"]},"executable":null}"#,
            "\nnot JSON\n",
            r#"{"reason":"compiler-artifact","target":{"name":"other"},"executable":"/t/other"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"tcptrace"},"executable":"/t/tcptrace"}"#,
        );
        assert_eq!(executable(messages, "tcptrace").expect("named"), PathBuf::from("/t/tcptrace"));
        assert!(executable(messages, "absent").is_err());
    }

    #[test]
    fn the_root_holds_the_lock_file() {
        assert!(root().join("Cargo.lock").is_file());
    }
}
