//! `tcptrace sockets`.

use std::{path::PathBuf, time::Duration};

use tcptrace_common::Filter;
use tcptrace_core::{
    model::{scan::By, socket_filter::SocketFilter, state::State},
    output::Format,
};

use super::{
    LOSSY,
    colour::Colour,
    filter::{FilterArgs, state_bits},
    misused, named, values,
};
use crate::commands::sockets::{self, Outcome, Settings};

const EXIT_CODES: &str = "\
AGE: time in the state, at least; - where unknown.
OWNER: name[pid] has the socket open, +N: so have N others; ~name[pid] opened its listener; - is not known.
Exit codes: 0 all right, 1 error, 2 wrong usage, 4 something could not be seen (standard error says what).";

/// Options of `sockets`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct SocketsArgs {
    /// text: columns for people; wide: also user, namespace, container or unit, cookie, inode, drops and figures; json: an
    /// object a line, by docs/sockets.schema.json; csv: rows below a header line
    // Its values are told here, since their own texts are those of a trace.
    #[arg(short, long, value_parser = named::one_of(named::FORMATS), default_value = "text", value_name = "FORMAT", hide_possible_values = true)]
    pub output: Format,
    /// Count them, by this, instead
    #[arg(long, value_parser = named::one_of(named::GROUPS), value_name = "WHAT")]
    pub by: Option<By>,
    /// Repeat at this interval until Ctrl-C; a bare number is seconds
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    pub watch: Option<Duration>,
    /// Colour: auto is on a terminal, unless NO_COLOR is set
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Colour,
    /// Show the last scan of this capture instead of this host's sockets; no root is needed
    #[arg(long, value_name = "FILE", conflicts_with = "watch")]
    pub from: Option<PathBuf>,
    /// Which sockets.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Sockets in these states, such as CLOSE_WAIT,LAST_ACK
    #[arg(long, value_name = "STATES", value_delimiter = ',', help_heading = "Filters")]
    pub state: Vec<State>,
}

impl SocketsArgs {
    fn settings(&self) -> anyhow::Result<Settings> {
        Ok(Settings {
            wanted: SocketFilter {
                filter: Filter { states: state_bits(&self.state), ..self.filter.filter()? },
                lports: self.filter.lports(),
                rports: self.filter.rports(),
            },
            netns: self.filter.netns()?,
            by: self.by,
            format: self.output,
            colour: self.color.wanted(),
            watch: self.watch,
        })
    }
}

/// Shows the sockets; the exit code tells whether something could not be seen.
pub(super) fn run(args: &SocketsArgs) -> anyhow::Result<u8> {
    let settings = match args.settings() {
        Ok(settings) => settings,
        Err(error) => return Ok(misused(&error)),
    };
    let outcome = match &args.from {
        Some(file) => sockets::replay(file, &settings)?,
        None => sockets::run(&settings)?,
    };
    Ok(match outcome {
        Outcome::Complete | Outcome::OutputClosed => 0,
        Outcome::Gaps => LOSSY,
    })
}
