//! `cargo xtask run`: build the tracer as the calling user, run it as root.

use std::{ffi::OsString, os::unix::process::CommandExt, path::Path, process::Command};

use anyhow::{Result, bail};

use crate::{process, workspace};

/// Build for release and trace: as root directly, otherwise through sudo.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Arguments of tcptrace, after `--`.
    #[arg(last = true)]
    args: Vec<OsString>,
}

/// Replaces this process by the tracer, so that signals and the exit code pass as if the tracer had been started
/// directly. Returns only if that fails.
///
/// # Errors
/// The build fails, or there is no way to become root.
pub(crate) fn main(args: &Args) -> Result<()> {
    let tracer = workspace::build_tracer()?;
    let mut command = match (process::is_root()?, process::find("sudo")) {
        (true, _) => Command::new(&tracer),
        (false, Some(sudo)) => {
            let mut command = Command::new(sudo);
            command.arg("--").arg(&tracer);
            command
        }
        (false, None) => bail!("{}", no_way_to_root(&tracer, &args.args)),
    };
    let error = command.args(&args.args).exec();
    bail!("cannot start {}: {error}", process::shown(&command));
}

fn no_way_to_root(tracer: &Path, args: &[OsString]) -> String {
    let mut command = Command::new(tracer);
    command.args(args);
    format!(
        "tracing needs root, and there is no sudo here. Become root and run:\n  {}",
        process::shown(&command)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_sudo_the_whole_command_is_named() {
        let text = no_way_to_root(Path::new("/t/tcptrace"), &["trace".into(), "-4".into()]);
        assert!(text.ends_with("/t/tcptrace trace -4"), "{text}");
    }
}
