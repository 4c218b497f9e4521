//! `tcptrace doctor`.

use anyhow::Context as _;
use clap::ValueEnum;

use super::{FAILED, colour::Colour, print};
use crate::commands::doctor;

const EXIT_CODES: &str = "\
Exit codes: 0 tracing is possible, 1 it is not (the first line says what to do), 2 wrong usage.";

/// Options of `doctor`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct DoctorArgs {
    /// Output format
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: DoctorFormat,
    /// Measure what tracing costs here, in about a second: the kernel's statistics of eBPF programs are on
    /// meanwhile, and a few thousand connections are made in a network namespace of their own
    #[arg(long)]
    pub measure: bool,
    /// Colour: auto is on a terminal, unless NO_COLOR is set
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Colour,
}

/// Formats of the report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DoctorFormat {
    /// A table for people.
    #[default]
    Text,
    /// One JSON object; see docs/doctor.schema.json.
    Json,
}

/// Prints the report; the exit code tells whether tracing is possible.
pub(super) fn run(args: &DoctorArgs) -> anyhow::Result<u8> {
    let report = doctor::run(args.measure);
    let mut out = Vec::new();
    match args.output {
        DoctorFormat::Text => doctor::render(&report, args.color.wanted(), &mut out),
        DoctorFormat::Json => {
            serde_json::to_writer(&mut out, &report).map_err(Into::into).map(|()| out.push(b'\n'))
        }
    }
    .context("formatting the report")?;
    print(&out)?;
    Ok(if report.possible { 0 } else { FAILED })
}
