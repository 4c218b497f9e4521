//! The raw command line, by clap: the commands. The options of each are in a file of its own.

use clap::{Parser, Subcommand};

use super::{
    capture::RecordArgs, diagnose::DiagnoseArgs, doctor::DoctorArgs, explain::ExplainArgs, life::LifeArgs,
    sockets::SocketsArgs, trace::TraceArgs,
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
    /// Explain what a state, a finding or a cause means, and what to do
    Explain(ExplainArgs),
    /// Report what works on this host, what does not and why, and what it costs
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
