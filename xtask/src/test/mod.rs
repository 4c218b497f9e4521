//! `cargo xtask test`: every test of the workspace, including the tests on the real kernel.

mod repeats;
mod tally;

use std::{
    env,
    ffi::OsString,
    io::{self, BufRead, BufReader, Write},
    num::NonZero,
    process::{Command, Stdio},
    thread,
    time::Instant,
};

use anyhow::{Context, Result, bail};

use crate::{dist, process, workspace};
use repeats::Repeats;
use tally::Tally;

/// Run every test of the workspace on a release build of the tracer, as root where tests need it.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Do without root: tests that need it skip themselves.
    #[arg(long)]
    no_root: bool,
    /// Test the static binary that is released, and that `vm-test` takes along.
    #[arg(long = "static")]
    is_static: bool,
    /// Arguments of cargo test, after `--`.
    #[arg(last = true, value_name = "ARGS")]
    rest: Vec<OsString>,
}

/// # Errors
/// A tool of the tests is missing, a build fails, a test fails, or too many tests had to repeat their steps.
pub(crate) fn main(args: &Args) -> Result<()> {
    let runner = if args.no_root { None } else { runner()? };
    if !args.no_root {
        check_tools()?;
    }
    let tracer = if args.is_static { dist::binary(dist::HERE)? } else { workspace::build_tracer()? };
    let mut command = workspace::cargo();
    command.env("TCPTRACE_BIN", tracer);
    if !args.no_root {
        command.env("TCPTRACE_REQUIRE_ALL", "1");
    }
    if let Some(runner) = runner {
        command.env(runner_variable(&host()?), runner);
    }
    if env::var_os("RUST_TEST_THREADS").is_none() {
        // Most tests wait most of the time.
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        command.env("RUST_TEST_THREADS", (2 * processors).to_string());
    }
    command.args(["test", "--workspace", "--no-fail-fast"]).args(&args.rest);
    // Not the folder for temporary files: there, root may not open another user's file to append to it.
    let folder = tempfile::tempdir_in(workspace::target()?).context("a folder for the list of repeats")?;
    let list = folder.path().join("repeats");
    command.env(repeats::VARIABLE, &list);
    let start = Instant::now();
    let (tally, passed) = counted(&mut command, &mut io::stdout().lock())?;
    println!("\ntests built and run in {} s", start.elapsed().as_secs());
    let repeats = Repeats::read(&list)?;
    println!("{repeats}");
    println!("{tally}");
    if !passed {
        bail!("{} failed", process::shown(&command));
    }
    if tally.passed == 0 {
        bail!("no test ran");
    }
    repeats.check()
}

/// Runs `cargo test`, copies its output to `to`, and adds up the results of its test programs.
fn counted(command: &mut Command, to: &mut impl Write) -> Result<(Tally, bool)> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start cargo")?;
    let mut tally = Tally::default();
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).split(b'\n') {
            let line = line.context("output of cargo test")?;
            to.write_all(&line)?;
            to.write_all(b"\n")?;
            tally.add(&String::from_utf8_lossy(&line));
        }
    }
    Ok((tally, child.wait()?.success()))
}

/// The command through which cargo starts test programs: none as root, otherwise sudo.
fn runner() -> Result<Option<&'static str>> {
    if process::is_root()? {
        return Ok(None);
    }
    let Some(sudo) = process::find("sudo") else {
        bail!(
            "tests on the real kernel need root, and there is no sudo here: run this as root, or use --no-root"
        );
    };
    // sudo asks for the password once, before the tests' output.
    process::run(Command::new(sudo).arg("-v")).context("sudo gives no root; --no-root does without")?;
    Ok(Some("sudo --preserve-env"))
}

/// Checks for the tools of the tests: they build networks by `ip`, compare with `ss`, and run the documented pipelines,
/// which end in `jq`.
fn check_tools() -> Result<()> {
    for (tool, debian, fedora) in
        [("ip", "iproute2", "iproute"), ("ss", "iproute2", "iproute"), ("jq", "jq", "jq")]
    {
        if process::find(tool).is_none() {
            bail!(
                "the tests need `{tool}` (Debian, Ubuntu: apt-get install {debian}; Fedora: dnf install {fedora})"
            );
        }
    }
    Ok(())
}

/// The target triple that `cargo test` builds for by default.
fn host() -> Result<String> {
    let text = process::output(workspace::cargo().args(["--version", "--verbose"]))?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("`cargo --version --verbose` names no host")
}

/// The variable that names the runner for programs of `triple` to cargo.
fn runner_variable(triple: &str) -> String {
    format!("CARGO_TARGET_{}_RUNNER", triple.to_uppercase().replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runner_variables_are_spelt_as_cargo_reads_them() {
        assert_eq!(
            runner_variable("x86_64-unknown-linux-gnu"),
            "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER"
        );
    }

    #[test]
    fn output_is_counted_and_failure_seen() {
        let line = "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n";
        let script = format!("printf %s '{line}'; exit 1");
        let mut output = Vec::new();
        let (tally, passed) =
            counted(Command::new("sh").args(["-c", &script]), &mut output).expect("sh runs");
        assert_eq!((tally.passed, tally.failed, passed), (1, 2, false));
        assert_eq!(output, line.as_bytes());
    }
}
