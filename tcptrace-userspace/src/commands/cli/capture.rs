//! Options about captures, and `tcptrace record`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{LOSSY, logger, misused, source::SourceArgs, values};
use crate::{
    commands::stream::{self, Settings},
    recording::Target,
    session::HalfOpenBy,
};

/// How to record.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Captures")]
pub struct TargetArgs {
    /// Begin another file when the one that is written has about so many bytes, such as 100M
    #[arg(long, value_name = "SIZE", value_parser = values::size, requires = "write")]
    pub max_size: Option<u64>,
    /// Full files to keep beside the current one, as FILE.1 (the newest), FILE.2, and so on
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(..=9_999), requires = "max_size")]
    pub keep: u32,
    /// Put others in the place of addresses and names, the same ones throughout the capture
    #[arg(long, requires = "write")]
    pub anonymize: bool,
}

impl TargetArgs {
    /// Records to this file.
    pub fn target(&self, file: &Path) -> Target {
        Target { path: file.to_owned(), max_bytes: self.max_size, keep: self.keep, anonymize: self.anonymize }
    }
}

/// Options of all that may record beside what they show.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Captures")]
pub struct WriteArgs {
    /// Record to this file as well
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,
    /// How.
    #[command(flatten)]
    pub target: TargetArgs,
}

impl WriteArgs {
    /// Where to record to, if to a file at all.
    pub fn target(&self) -> Option<Target> {
        self.write.as_deref().map(|file| self.target.target(file))
    }
}

const EXAMPLES: &str = "\
What was recorded shows by --from FILE, of trace, life, sockets and diagnose: without root, on any machine.
Exit codes: 0 all right, 1 error, 2 wrong usage, 4 transitions were lost (the summary says why).";

/// Options of `record`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct RecordArgs {
    /// The file to record to; one that is there is replaced. Only its owner can read it
    #[arg(short, long, value_name = "FILE")]
    pub write: PathBuf,
    /// Scan all sockets at this interval
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = values::duration)]
    pub every: Duration,
    /// Which sockets, and for how long.
    #[command(flatten)]
    pub source: SourceArgs,
    /// How.
    #[command(flatten)]
    pub target: TargetArgs,
}

impl RecordArgs {
    /// Validates what clap cannot.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn settings(&self) -> anyhow::Result<Settings> {
        let mut settings = self.source.settings()?;
        settings.half_open = Some(HalfOpenBy::Events);
        settings.infer = true;
        settings.scans = Some(self.every);
        settings.record = Some(self.target.target(&self.write));
        Ok(Settings { trace: settings, priority: self.source.limits.priority, ..Settings::default() })
    }
}

/// Records.
pub(super) fn run(args: &RecordArgs) -> anyhow::Result<u8> {
    let settings = match args.settings() {
        Ok(settings) => settings,
        Err(error) => return Ok(misused(&error)),
    };
    if settings.trace.bpf.verbose {
        logger::install();
    }
    Ok(if stream::record(&settings)?.is_lossy() { LOSSY } else { 0 })
}
