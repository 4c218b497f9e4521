//! Options that `trace` and `life` share.

use std::path::PathBuf;

use tcptrace_core::output::{Format, TimeColumn};

use super::{capture::WriteArgs, colour::Colour, named, source::SourceArgs};
use crate::{commands::stream::Settings, session};

/// Options of `trace` and `life`: how to show it, and where to take it from.
#[derive(Clone, Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct StreamArgs {
    /// text: columns for people; wide: more of them; json: an object a line, by docs/output.schema.json; csv: rows below a
    /// header line
    // Its values are told here, since their own texts would be those of another command.
    #[arg(short, long, value_parser = named::one_of(named::FORMATS), default_value = "text", value_name = "FORMAT", hide_possible_values = true)]
    pub output: Format,
    /// More columns, as `-o wide`
    #[arg(short, long, conflicts_with = "output")]
    pub wide: bool,
    /// Comma-separated values, as `-o csv`
    #[arg(short = 's', long, conflicts_with_all = ["output", "wide"])]
    pub csv: bool,
    /// Show seconds since the start, as in bcc's tools
    #[arg(short = 't', long, conflicts_with = "time")]
    pub timestamp: bool,
    /// Show the time of day in whole seconds, as in bcc's tools
    #[arg(short = 'T', long)]
    pub time: bool,
    /// Colour: auto is on a terminal, unless NO_COLOR is set
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Colour,
    /// Stop after this many lines
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Limits")]
    pub count: Option<u64>,
    /// What to trace.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Replay this capture instead of tracing: no root is needed
    #[arg(long, value_name = "FILE", help_heading = "Captures", conflicts_with_all = ["write", "max_size", "keep", "anonymize", "hook", "verbose", "no_snapshot"])]
    pub from: Option<PathBuf>,
    /// And record.
    #[command(flatten)]
    pub write: WriteArgs,
}

impl StreamArgs {
    /// Validates what clap cannot.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn settings(&self) -> anyhow::Result<Settings> {
        Ok(Settings {
            format: match (self.wide, self.csv) {
                (true, _) => Format::Wide,
                (_, true) => Format::Csv,
                _ => self.output,
            },
            time: match (self.timestamp, self.time) {
                (true, _) => TimeColumn::Relative,
                (_, true) => TimeColumn::Seconds,
                _ => TimeColumn::Millis,
            },
            colour: self.color.wanted(),
            priority: self.source.limits.priority,
            trace: session::Settings {
                count: self.count,
                record: self.write.target(),
                ..self.source.settings()?
            },
        })
    }
}
