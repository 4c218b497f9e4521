//! `cargo xtask lint`: dependencies, layers, words, spelling, interfaces, schemas, layout, lints and documentation, of the
//! kernel side too.

use std::process::Command;

use anyhow::{Context, Result};

use crate::{
    deny,
    ebpf::{self, Toolchain},
    interface, layers, process, schemas, spelling, words, workspace,
};

/// # Errors
/// The error of the first check that fails, or a missing toolchain.
pub(crate) fn main() -> Result<()> {
    deny::lint()?;
    layers::main()?;
    words::lint()?;
    spelling::lint()?;
    interface::lint()?;
    schemas::lint()?;
    step("layout", workspace::cargo().args(["fmt", "--all", "--check"]))?;
    step(
        "layout of the fuzz targets",
        workspace::cargo().args(["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]),
    )?;
    step(
        "lints",
        workspace::cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    )?;
    // Most dependencies of the fuzz targets are built already.
    step(
        "lints of the fuzz targets",
        workspace::cargo()
            .args(["clippy", "--manifest-path", "fuzz/Cargo.toml", "--no-default-features", "--all-targets"])
            .arg("--target-dir")
            .arg(workspace::target()?)
            .args(["--", "-D", "warnings"]),
    )?;
    let toolchain = Toolchain::rustup()?;
    toolchain.need_component("clippy")?;
    step("lints of the kernel side", &mut ebpf_clippy(&toolchain)?)?;
    // There are no examples. With `--examples`, cargo builds dependencies with the features of tests, as the lints do,
    // and does not check them all again.
    step(
        "documentation",
        workspace::cargo()
            .args(["doc", "--workspace", "--no-deps", "--lib", "--bins", "--examples"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}

fn step(name: &str, command: &mut Command) -> Result<()> {
    eprintln!("{name}: {}", process::shown(command));
    process::run(command).with_context(|| format!("{name}: not clean"))
}

fn ebpf_clippy(toolchain: &Toolchain) -> Result<Command> {
    let mut command = toolchain.cargo();
    command
        .args(["clippy", "--package", ebpf::PACKAGE, "--target", ebpf::TARGET])
        .args(toolchain.build_std())
        .arg("--target-dir")
        .arg(workspace::target()?.join("ebpf-lint"))
        .args(["--", "-D", "warnings"]);
    Ok(command)
}
