//! The raw command line, by clap, and its way into validated settings.

use std::{path::PathBuf, time::Duration};

use clap::{ArgAction, Parser, Subcommand};

use super::{
    capture::{RecordArgs, WriteArgs},
    colour::Colour,
    diagnose::DiagnoseArgs,
    doctor::DoctorArgs,
    explain::ExplainArgs,
    filter::{FilterArgs, state_bits},
    life::LifeArgs,
    sockets::SocketsArgs,
    values,
};
use crate::{
    bpf::{self, Hook},
    diagnose::PERIOD,
    sink::{Format, TimeColumn},
    state::State,
    trace::{DEFAULT_MAX_RATE, HalfOpenBy, Settings},
};

/// Trace TCP state transitions live, by eBPF.
///
/// Without a subcommand, traces: `tcptrace -L 443` is `tcptrace trace -L 443`.
#[derive(Debug, Parser)]
#[command(name = "tcptrace", version, args_conflicts_with_subcommands = true, after_help = ALL_EXIT_CODES)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Options of `trace`, which is the default.
    #[command(flatten)]
    pub trace: TraceArgs,
}

/// Beside those of a trace, those that other commands have.
const ALL_EXIT_CODES: &str = "\
OWNER: name[pid] acted on the socket itself; ~name[pid] opened its listener; - is not known.
IN OLD: time in the old state; - when its beginning was not seen.
Exit codes: 0 all right, 1 error, 2 wrong usage, 4 transitions were lost (the summary says why);
of diagnose 3 findings; of diagnose and sockets 4 something could not be seen;
of doctor 1 tracing is not possible; of --from 4 the capture is not all there.";

const EXIT_CODES: &str = "\
OWNER: name[pid] acted on the socket itself; ~name[pid] opened its listener; - is not known.
IN OLD: time in the old state; - when its beginning was not seen.
Exit codes: 0 all right, 1 error, 2 wrong usage, 4 transitions were lost (the summary says why).";

/// Subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print every TCP state transition of the host as it happens; the default
    #[command(after_help = EXIT_CODES)]
    Trace(TraceArgs),
    /// Show the TCP sockets of this moment, with their owners: of all network namespaces and in all states
    Sockets(SocketsArgs),
    /// Print every connection when it has ended: how long it lived, what it carried, and why it ended
    Life(LifeArgs),
    /// Record all that a trace sees to a file, to be replayed anywhere
    Record(RecordArgs),
    /// Watch the host for a while, and say what is wrong, who causes it, and what to do
    Diagnose(DiagnoseArgs),
    /// Tell what a state, a finding or a cause means, and what to do
    Explain(ExplainArgs),
    /// Tell what works on this host, what does not and why, and what it costs
    Doctor(DoctorArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print a manual page (roff)
    Man {
        /// The command that it is about; without, tcptrace itself
        #[arg(value_name = "COMMAND")]
        command: Option<String>,
    },
}

/// Options of `trace`.
#[derive(Clone, Debug, clap::Args)]
pub struct TraceArgs {
    /// Print no transitions, only count them
    #[arg(short, long, conflicts_with_all = ["from", "write"])]
    pub quiet: bool,
    /// Tell what is found to be wrong among the transitions, as `diagnose` does at its end
    #[arg(long, conflicts_with = "quiet")]
    pub findings: bool,
    /// Show only what the kernel reports, not what follows from it (into and out of TIME_WAIT)
    #[arg(long)]
    pub no_inferred: bool,
    /// Show half-open connections, too: SYN received, final ACK not yet. By `events` (each SYN and SYN-ACK sent again)
    /// or by a `poll` a second
    #[arg(long, value_enum, value_name = "BY", num_args = 0..=1, require_equals = true, default_missing_value = "events")]
    pub half_open: Option<HalfOpenBy>,
    /// Those that it shares.
    #[command(flatten)]
    pub stream: StreamArgs,
    /// Transitions from or to these states, such as CLOSE_WAIT,LAST_ACK
    #[arg(long, value_name = "STATES", value_delimiter = ',', help_heading = "Filters")]
    pub state: Vec<State>,
    /// Transitions from these states
    #[arg(long, value_name = "STATES", value_delimiter = ',', help_heading = "Filters")]
    pub from_state: Vec<State>,
    /// Transitions to these states
    #[arg(long, value_name = "STATES", value_delimiter = ',', help_heading = "Filters")]
    pub to_state: Vec<State>,
}

/// Options of `trace` and `life`: how to show it, and where to take it from.
#[derive(Clone, Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct StreamArgs {
    /// text: columns for people; wide: more of them; json: an object a line, by docs/output.schema.json; csv: rows below a
    /// header line
    // Its values are told here, since their own texts would be those of another command.
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT", hide_possible_values = true)]
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

/// Options of all that trace: what to look at, how, and for how long.
#[derive(Clone, Debug, clap::Args)]
pub struct SourceArgs {
    /// Do not look for sockets that are older than the trace, nor for what becomes of those that were closed
    #[arg(long)]
    pub no_snapshot: bool,
    /// Show the kernel side's diagnostics on standard error
    #[arg(short, long)]
    pub verbose: bool,

    /// Which sockets.
    #[command(flatten)]
    pub filter: FilterArgs,

    /// Stop after this time, such as 30s or 5m; a bare number is seconds
    #[arg(long, value_name = "TIME", value_parser = values::duration, help_heading = "Limits")]
    pub duration: Option<Duration>,
    /// Ring buffer between kernel and tracer, rounded up to a power of two; 4M unless given, more with more than 64 CPUs
    #[arg(long, value_name = "SIZE", value_parser = values::buffer, help_heading = "Limits")]
    pub buffer: Option<u64>,
    /// And how.
    #[command(flatten)]
    pub limits: LimitArgs,
}

/// Options of all that use the kernel side, `diagnose` included.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Sockets to remember at most; the one idle for longest is forgotten first
    #[arg(long, value_name = "N", default_value_t = 262_144, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_connections: u32,
    /// Records a second above which a share of the sockets is only counted, as docs/overhead-and-loss.md tells
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_RATE, value_parser = clap::value_parser!(u64).range(1..))]
    pub max_rate: u64,
    /// How to hook the kernel [default: the best that works]
    #[arg(long, value_enum, value_name = "HOOK", action = ArgAction::Set)]
    pub hook: Option<Hook>,
}

impl TraceArgs {
    /// What the user should know before waiting for something that cannot come.
    pub fn note(&self) -> Option<&'static str> {
        let wanted = || [&self.state, &self.from_state, &self.to_state].into_iter().flatten();
        if self.half_open.is_none() && wanted().any(|state| *state == State::NEW_SYN_RECV) {
            return Some(
                "note: the kernel reports no transitions from or to NEW_SYN_RECV; --half-open shows them",
            );
        }
        let hidden = self.no_inferred && wanted().any(|state| *state == State::TIME_WAIT);
        hidden.then_some("note: transitions from and to TIME_WAIT are inferred, which --no-inferred hides")
    }

    /// Validates what clap cannot.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn settings(&self) -> anyhow::Result<Settings> {
        let mut settings = self.stream.settings()?;
        settings.bpf.count_only = self.quiet;
        settings.infer = !self.no_inferred;
        // Findings rest on them, whether they are shown or not.
        settings.half_open = self.half_open.or(self.findings.then_some(HalfOpenBy::Events));
        settings.samples = self.findings;
        settings.looks = self.findings.then_some(PERIOD);
        settings.bpf.half_open = settings.half_open == Some(HalfOpenBy::Events);
        settings.bpf.filter.states = state_bits(&self.state);
        settings.bpf.filter.old_states = state_bits(&self.from_state);
        settings.bpf.filter.new_states = state_bits(&self.to_state);
        Ok(settings)
    }
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
            count: self.count,
            record: self.write.target(),
            ..self.source.settings()?
        })
    }
}

impl SourceArgs {
    /// Validates what clap cannot.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn settings(&self) -> anyhow::Result<Settings> {
        Ok(Settings {
            bpf: bpf::Options {
                hook: self.limits.hook,
                filter: self.filter.filter()?,
                lports: self.filter.lports(),
                rports: self.filter.rports(),
                buffer: self.buffer.unwrap_or_else(bpf::default_buffer),
                count_only: false,
                half_open: false,
                max_connections: self.limits.max_connections,
                verbose: self.verbose,
            },
            snapshot: !self.no_snapshot,
            netns: self.filter.netns()?,
            duration: self.duration,
            max_rate: self.limits.max_rate,
            ..Settings::default()
        })
    }
}
