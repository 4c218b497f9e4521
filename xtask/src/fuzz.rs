//! `cargo xtask fuzz`: libFuzzer on the code that reads bytes from outside.
//!
//! This command does what cargo-fuzz does, and `fuzz/` is a folder for cargo-fuzz. But it needs neither that program
//! nor a nightly: a stable compiler instruments as well, and without `unsafe` code a sanitizer has little to find.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, bail};

use crate::{process, workspace};

/// The targets, and the longest input of each in bytes.
const TARGETS: [(&str, u32); 4] =
    [("records", 1_024), ("captures", 24 << 10), ("layouts", 8 << 10), ("settings", 4 << 10)];

/// The compiler that builds and links libFuzzer.
const COMPILER: &str = "c++";

/// Counters at every branch, and the operands of comparisons. Only for the host's own code: with `--target`, build
/// scripts are not instrumented.
const INSTRUMENTED: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Let libFuzzer look for inputs that tcptrace does not stand. It takes some minutes to build.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// One target; all of them, one after the other, unless given.
    #[arg(value_parser = TARGETS.map(|(name, _)| name))]
    target: Option<String>,
    /// How long to try each.
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u32,
}

/// # Errors
/// There is no C++ compiler, the build fails, or libFuzzer found an input that fails.
pub(crate) fn main(args: &Args) -> Result<()> {
    if process::find(COMPILER).is_none() {
        bail!("libFuzzer is C++, and {COMPILER} is missing (Debian: apt-get install g++)");
    }
    let work = workspace::target()?.join("fuzz");
    for (name, max_len) in
        TARGETS.iter().filter(|(name, _)| args.target.as_deref().is_none_or(|one| one == *name))
    {
        let program = build(name, &work)?;
        fuzz(&program, name, *max_len, args.seconds, &work)?;
    }
    Ok(())
}

fn build(name: &str, work: &Path) -> Result<std::path::PathBuf> {
    let mut command = workspace::cargo();
    command
        .args(["build", "--quiet", "--release", "--locked", "--manifest-path", "fuzz/Cargo.toml"])
        .args(["--bin", name, "--target", &host()?, "--target-dir"])
        .arg(work)
        .env("RUSTFLAGS", INSTRUMENTED)
        // This variable would take precedence over RUSTFLAGS.
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    workspace::executable(&workspace::build(&mut command)?, name)
}

/// Runs one target. New inputs that reach new code are kept for the next run, beside the build.
fn fuzz(program: &Path, name: &str, max_len: u32, seconds: u32, work: &Path) -> Result<()> {
    let found = work.join("found").join(name);
    let corpus = work.join("corpus").join(name);
    for folder in [&found, &corpus] {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    eprintln!("{name}: for {seconds} s");
    let mut command = Command::new(program);
    command
        .current_dir(workspace::root())
        .args(["-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1", "-print_funcs=0", "-verbosity=0"])
        .arg(format!("-max_len={max_len}"))
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}/", found.display()))
        .arg(corpus);
    let checked_in =
        ["corpus", "regressions"].map(|kind| workspace::root().join("fuzz").join(kind).join(name));
    command.args(checked_in.iter().filter(|folder| folder.exists()));
    process::run(&mut command).with_context(|| {
        format!(
            "{name} does not stand an input in {}; put it into fuzz/regressions/{name}/, where `cargo test --test fuzz` \
             has it",
            found.display()
        )
    })
}

fn host() -> Result<String> {
    let text = process::output(Command::new("rustc").arg("-vV").current_dir(workspace::root()))?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("`rustc -vV` tells no host")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(path: &str) -> toml::Table {
        let text = fs::read_to_string(workspace::root().join(path)).expect("it is there");
        text.parse().expect("TOML")
    }

    #[test]
    fn the_targets_are_those_of_the_folder_and_have_a_corpus() {
        let manifest = table("fuzz/Cargo.toml");
        let names = manifest["bin"].as_array().expect("programs").iter().map(|bin| bin["name"].as_str());
        assert!(names.eq(TARGETS.iter().map(|(name, _)| Some(*name))));
        for (name, _) in TARGETS {
            assert!(workspace::root().join("fuzz/corpus").join(name).is_dir(), "{name}");
        }
    }

    /// The fuzz targets are no member of the workspace, so they cannot inherit its lints.
    #[test]
    fn its_lints_are_those_of_the_workspace() {
        assert_eq!(table("fuzz/Cargo.toml")["lints"], table("Cargo.toml")["workspace"]["lints"]);
    }
}
