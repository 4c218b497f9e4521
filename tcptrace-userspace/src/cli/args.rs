//! The raw command line, by clap, and its way into validated settings.

use std::time::Duration;

use anyhow::Context as _;
use clap::{ArgAction, Parser, Subcommand};
use tcptrace_common::{Filter, MAX_PREFIXES, Prefix};

use super::{colour::Colour, doctor::DoctorArgs, netns, values};
use crate::{
    bpf::{self, DEFAULT_BUFFER, Hook, PortSet},
    sink::{Format, TimeColumn},
    state::State,
    trace::Settings,
};

/// Trace TCP state transitions live, by eBPF.
///
/// Without a subcommand, traces: `tcptrace -L 443` is `tcptrace trace -L 443`.
#[derive(Debug, Parser)]
#[command(name = "tcptrace", version, args_conflicts_with_subcommands = true, after_help = EXIT_CODES)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Options of `trace`, which is the default.
    #[command(flatten)]
    pub trace: TraceArgs,
}

const EXIT_CODES: &str = "\
OWNER: name[pid] acted on the socket itself; ~name[pid] opened its listener; - is not known.
IN OLD: time in the old state; - when its beginning was not seen.
Exit codes: 0 all right, 1 error, 2 wrong usage, 4 transitions were lost (the summary says why).";

/// Subcommands.
#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one of it")]
pub enum Command {
    /// Print every TCP state transition of the host as it happens; the default
    #[command(after_help = EXIT_CODES)]
    Trace(TraceArgs),
    /// Tell what works on this host, what does not and why, and what it costs
    Doctor(DoctorArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page (roff)
    Man,
}

/// Options of `trace`.
#[derive(Clone, Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct TraceArgs {
    /// Output format
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Format,
    /// Show seconds since the start, as in bcc's tools
    #[arg(short = 't', long, conflicts_with = "time")]
    pub timestamp: bool,
    /// Show the time of day in whole seconds, as in bcc's tools
    #[arg(short = 'T', long)]
    pub time: bool,
    /// Colour: auto is on a terminal, unless NO_COLOR is set
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Colour,
    /// Print no transitions, only count them
    #[arg(short, long)]
    pub quiet: bool,
    /// Show only what the kernel reports, not what follows from it (into and out of TIME_WAIT)
    #[arg(long)]
    pub no_inferred: bool,
    /// Do not look for sockets that are older than the trace, nor for what becomes of those that were closed
    #[arg(long)]
    pub no_snapshot: bool,
    /// Show the kernel side's diagnostics on standard error
    #[arg(short, long)]
    pub verbose: bool,

    /// IPv4 only (IPv6 sockets that talk IPv4 included)
    #[arg(short = '4', long, conflicts_with = "ipv6", help_heading = "Filters")]
    pub ipv4: bool,
    /// IPv6 only
    #[arg(short = '6', long, help_heading = "Filters")]
    pub ipv6: bool,
    /// Sockets of this process (as the host numbers it), each from its first system call on it
    #[arg(short, long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Filters")]
    pub pid: Option<u32>,
    /// Local ports, such as 80,443,8000-8999
    #[arg(short = 'L', long, value_name = "PORTS", value_delimiter = ',', value_parser = values::ports, help_heading = "Filters")]
    pub local_port: Vec<values::PortRange>,
    /// Remote ports
    #[arg(short = 'D', long, visible_alias = "dport", value_name = "PORTS", value_delimiter = ',', value_parser = values::ports, help_heading = "Filters")]
    pub remote_port: Vec<values::PortRange>,
    /// Local addresses or prefixes, such as 192.0.2.0/24,2001:db8::/32
    #[arg(long, visible_alias = "src", value_name = "CIDR", value_delimiter = ',', value_parser = values::prefix, help_heading = "Filters")]
    pub local: Vec<Prefix>,
    /// Remote addresses or prefixes
    #[arg(long, visible_alias = "dst", value_name = "CIDR", value_delimiter = ',', value_parser = values::prefix, help_heading = "Filters")]
    pub remote: Vec<Prefix>,
    /// Transitions from or to these states, such as CLOSE_WAIT,LAST_ACK
    #[arg(long, value_name = "STATES", value_delimiter = ',', help_heading = "Filters")]
    pub state: Vec<State>,
    /// Transitions from these states
    #[arg(long, value_name = "STATES", value_delimiter = ',', help_heading = "Filters")]
    pub from_state: Vec<State>,
    /// Transitions to these states
    #[arg(long, value_name = "STATES", value_delimiter = ',', help_heading = "Filters")]
    pub to_state: Vec<State>,
    /// One network namespace: a name of `ip netns`, a path such as /proc/PID/ns/net, or an inode number
    #[arg(long, value_name = "NETNS", help_heading = "Filters")]
    pub netns: Option<String>,

    /// Stop after this time, such as 30s or 5m; a bare number is seconds
    #[arg(long, value_name = "TIME", value_parser = values::duration, help_heading = "Limits")]
    pub duration: Option<Duration>,
    /// Stop after this many transitions
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Limits")]
    pub count: Option<u64>,
    /// Ring buffer between kernel and tracer, rounded up to a power of two
    #[arg(long, value_name = "SIZE", default_value = "4M", value_parser = values::buffer, help_heading = "Limits")]
    pub buffer: u64,
    /// Sockets to remember at most; the one idle for longest is forgotten first
    #[arg(long, value_name = "N", default_value_t = 262_144, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Limits")]
    pub max_connections: u32,
    /// How to hook the kernel [default: the best that works]
    #[arg(long, value_enum, value_name = "HOOK", action = ArgAction::Set, help_heading = "Limits")]
    pub hook: Option<Hook>,
}

impl TraceArgs {
    /// What the user should know before waiting for something that cannot come.
    pub fn note(&self) -> Option<String> {
        let wanted = [&self.state, &self.from_state, &self.to_state];
        let unseen = wanted.into_iter().flatten().find(|state| UNSEEN.contains(state))?;
        Some(format!(
            "note: the kernel reports no transitions from or to {unseen}; FIN_WAIT2 -> CLOSE is where a socket \
             usually passes into TIME_WAIT"
        ))
    }

    /// Validates what clap cannot.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn settings(&self) -> anyhow::Result<Settings> {
        let mut filter = Filter::NONE;
        filter.family = if self.ipv4 { 4 } else { 0 } + if self.ipv6 { 6 } else { 0 };
        filter.tgid = self.pid.unwrap_or(0);
        filter.netns = self.netns.as_deref().map(netns::inode).transpose()?.unwrap_or(0);
        filter.states = state_bits(&self.state);
        filter.old_states = state_bits(&self.from_state);
        filter.new_states = state_bits(&self.to_state);
        filter.locals = prefixes(&self.local, &mut filter.local).context("--local")?;
        filter.remotes = prefixes(&self.remote, &mut filter.remote).context("--remote")?;
        Ok(Settings {
            bpf: bpf::Options {
                hook: self.hook,
                filter,
                lports: port_set(&self.local_port),
                rports: port_set(&self.remote_port),
                buffer: self.buffer,
                count_only: self.quiet,
                max_connections: self.max_connections,
                verbose: self.verbose,
            },
            infer: !self.no_inferred,
            snapshot: !self.no_snapshot,
            format: self.output,
            time: match (self.timestamp, self.time) {
                (true, _) => TimeColumn::Relative,
                (_, true) => TimeColumn::Seconds,
                _ => TimeColumn::Millis,
            },
            colour: self.color.wanted(),
            duration: self.duration,
            count: self.count,
        })
    }
}

/// States that live in small sockets of their own, for which the kernel reports no transitions.
const UNSEEN: [State; 2] = [State(6), State(12)];

const _: () = assert!(DEFAULT_BUFFER == 4 << 20, "the default of --buffer says 4M");

fn state_bits(states: &[State]) -> u32 {
    states.iter().fold(0, |bits, state| bits | 1 << state.0)
}

fn port_set(ranges: &[values::PortRange]) -> Option<PortSet> {
    if ranges.is_empty() {
        return None;
    }
    let mut set = PortSet::new();
    for range in ranges {
        set.insert(range.0.clone());
    }
    Some(set)
}

/// Copies the prefixes into the fixed room of the kernel side and returns how many.
fn prefixes(wanted: &[Prefix], room: &mut [Prefix; MAX_PREFIXES]) -> anyhow::Result<u32> {
    anyhow::ensure!(
        wanted.len() <= MAX_PREFIXES,
        "{} prefixes given, at most {MAX_PREFIXES} are possible; combine some into a shorter one",
        wanted.len()
    );
    room[..wanted.len()].copy_from_slice(wanted);
    Ok(u32::try_from(wanted.len())?)
}
