//! Options of what is traced, and within which limits.

use std::time::Duration;

use clap::ArgAction;
use tcptrace_core::model::hooks::Hook;

use super::{filter::FilterArgs, named, values};
use crate::{
    bpf,
    commands::stream::Priority,
    session::{DEFAULT_MAX_RATE, Settings},
};

/// Options of all that trace: what to look at, how, and for how long.
#[derive(Clone, Debug, clap::Args)]
pub struct SourceArgs {
    /// Do not list pre-existing sockets, nor follow those that were closed
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
    /// Records a second above which a share of the sockets is only counted, as docs/overhead-and-loss.md explains
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_RATE, value_parser = clap::value_parser!(u64).range(1..))]
    pub max_rate: u64,
    /// Who gets a CPU first where there are too few: `high` reads the ring buffer at nice -10
    #[arg(long, value_enum, default_value_t, value_name = "PRIORITY")]
    pub priority: Priority,
    /// How to hook the kernel [default: the best that works]
    #[arg(long, value_parser = named::one_of(named::HOOKS), value_name = "HOOK", action = ArgAction::Set)]
    pub hook: Option<Hook>,
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
                newcomers: false,
            },
            filters: self.filter.words(),
            snapshot: !self.no_snapshot,
            netns: self.filter.netns()?,
            duration: self.duration,
            max_rate: self.limits.max_rate,
            ..Settings::default()
        })
    }
}
