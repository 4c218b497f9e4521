//! The command line: parsed once, validated once, handed down as immutable settings.

mod args;
mod capture;
mod colour;
mod detect;
mod diagnose;
mod doctor;
mod explain;
mod filter;
mod life;
mod logger;
mod named;
mod netns;
mod on_finding;
mod progress;
mod show;
mod sockets;
mod source;
mod stream;
mod trace;
mod values;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser as _};

pub use args::{Args, Command};
pub use capture::{RecordArgs, TargetArgs, WriteArgs};
pub use colour::Colour;
pub use detect::DetectArgs;
pub use diagnose::DiagnoseArgs;
pub use doctor::{DoctorArgs, DoctorFormat};
pub use explain::ExplainArgs;
pub use filter::FilterArgs;
pub use life::LifeArgs;
pub use sockets::SocketsArgs;
pub use source::{LimitArgs, SourceArgs};
pub use stream::StreamArgs;
pub use trace::TraceArgs;

use crate::bpf::keep_little_memory;

/// Exit code of a run-time error.
const FAILED: u8 = 1;
/// Exit code of a command line that cannot be used; clap's own.
const USAGE: u8 = 2;
/// Exit code of a trace that lost transitions, and of a scan that did not see everything.
const LOSSY: u8 = 4;

/// Runs the command and returns its exit code: 0, 1 (error), 2 (usage), 3 (of `diagnose`: findings), 4 (transitions were
/// lost, or something could not be seen).
pub fn main() -> ExitCode {
    keep_little_memory();
    let args = Args::parse();
    let outcome = match args.command {
        Some(Command::Completions { shell }) => completions(shell),
        Some(Command::Man { command }) => man(command.as_deref()),
        Some(Command::Trace(trace_args)) => trace::run(&trace_args),
        Some(Command::Sockets(sockets_args)) => sockets::run(&sockets_args),
        Some(Command::Life(life_args)) => life::run(&life_args),
        Some(Command::Record(record_args)) => capture::run(&record_args),
        Some(Command::Diagnose(diagnose_args)) => diagnose::run(&diagnose_args),
        Some(Command::Explain(explain_args)) => explain::run(&explain_args),
        Some(Command::Doctor(doctor_args)) => doctor::run(&doctor_args),
        None => trace::run(&args.trace),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let _ = writeln!(io::stderr(), "tcptrace: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}

/// Tells what is wrong with the command line.
fn misused(error: &anyhow::Error) -> u8 {
    let _ = writeln!(io::stderr(), "tcptrace: {error:#}");
    USAGE
}

fn completions(shell: clap_complete::Shell) -> anyhow::Result<u8> {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "tcptrace", &mut out);
    print(&out)
}

/// The page about tcptrace, which names those about its commands, or one of these.
fn man(command: Option<&str>) -> anyhow::Result<u8> {
    // A page about `help` would say what each says of `--help`.
    let mut all = Args::command().disable_help_subcommand(true);
    // This is what gives the commands their full names.
    all.build();
    let about = match command {
        None => Some(&all),
        Some(name) => all.find_subcommand(name),
    };
    let Some(about) = about else {
        let names: Vec<_> = all.get_subcommands().map(clap::Command::get_name).collect();
        return Ok(misused(&anyhow::anyhow!("man: the commands are {}", names.join(", "))));
    };
    let mut out = Vec::new();
    let page = clap_mangen::Man::new(about.clone()).source(concat!("tcptrace ", env!("CARGO_PKG_VERSION")));
    page.render(&mut out).context("rendering the manual page")?;
    print(&out)
}

/// Writes to standard output; a reader that went away is no error.
fn print(bytes: &[u8]) -> anyhow::Result<u8> {
    match io::stdout().write_all(bytes).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("writing to standard output")
        }
        _ => Ok(0),
    }
}
