//! `tcptrace diagnose`.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use tcptrace_core::{
    diagnosis::report::Verdict,
    model::finding::{Finding, Severity},
    output::findings::{self, Format},
};

use super::{
    LOSSY, capture::WriteArgs, colour::Colour, detect::DetectArgs, filter::FilterArgs, misused, named,
    on_finding::OnFinding, print, progress::Progress, source::LimitArgs, values,
};
use crate::{
    bpf,
    commands::diagnose::{self, Settings},
    session::{self, HalfOpenBy},
};

/// Exit code: something was found.
const FOUND: u8 = 3;

const EXIT_CODES: &str = "\
Exit codes: 0 no finding at or above --fail-on, 1 error, 2 wrong usage, 3 findings at or above --fail-on,
4 none of these, but not everything could be seen (the report says what).";

/// Options of `diagnose`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct DiagnoseArgs {
    /// Watch for this time, such as 30s or 5m; a bare number is seconds. A capture is taken as long as it is
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = values::duration)]
    pub duration: Duration,
    /// End with the first finding at or above --fail-on
    #[arg(long)]
    pub until_finding: bool,
    /// Output format
    #[arg(short, long, value_parser = named::one_of(named::REPORT_FORMATS), default_value = "text", value_name = "FORMAT")]
    pub output: Format,
    /// Colour: auto is on a terminal, unless NO_COLOR is set
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Colour,
    /// Findings from this severity on make the exit code 3
    #[arg(long, value_parser = named::one_of(named::SEVERITIES), default_value = "warning", value_name = "SEVERITY")]
    pub fail_on: Severity,
    /// Start this program, without a shell, for each finding at or above --fail-on, as soon as it shows: its kind is the
    /// argument, the finding is on standard input as JSON. At most one a second, and twenty
    #[arg(long, value_name = "PROGRAM")]
    pub on_finding: Option<PathBuf>,
    /// Print all thresholds with their meaning, and end
    #[arg(long)]
    pub print_config: bool,
    /// What to look for.
    #[command(flatten)]
    pub detect: DetectArgs,

    /// Diagnose what this capture has, instead of this host; no root is needed
    #[arg(long, value_name = "FILE", help_heading = "Captures", conflicts_with_all = ["write", "max_size", "keep", "anonymize", "until_finding", "on_finding", "hook"])]
    pub from: Option<PathBuf>,
    /// And record.
    #[command(flatten)]
    pub write: WriteArgs,

    /// Which sockets.
    #[command(flatten)]
    pub filter: FilterArgs,

    /// And how.
    #[command(flatten)]
    pub limits: LimitArgs,
}

impl DiagnoseArgs {
    fn settings(&self) -> anyhow::Result<Settings> {
        let bpf = bpf::Options {
            hook: self.limits.hook,
            filter: self.filter.filter()?,
            lports: self.filter.lports(),
            rports: self.filter.rports(),
            max_connections: self.limits.max_connections,
            ..bpf::Options::default()
        };
        let trace = session::Settings {
            bpf,
            filters: self.filter.words(),
            netns: self.filter.netns()?,
            half_open: Some(HalfOpenBy::Events),
            detect: Some(self.detect.options(self.filter.pid)?),
            record: self.write.target(),
            // A capture is as long as it is.
            duration: self.from.is_none().then_some(self.duration),
            max_rate: self.limits.max_rate,
            ..session::Settings::default()
        };
        let filters = trace.filters.iter().cloned().chain(self.detect.words()).collect();
        Ok(Settings {
            trace,
            filters,
            fail_on: self.fail_on,
            until_finding: self.until_finding,
            priority: self.limits.priority,
        })
    }
}

/// Watches and reports; the exit code tells the verdict.
pub(super) fn run(args: &DiagnoseArgs) -> anyhow::Result<u8> {
    let settings = match args.settings() {
        Ok(settings) => settings,
        Err(error) => return Ok(misused(&error)),
    };
    if args.print_config {
        let thresholds = settings.trace.detect.as_ref().map(|detect| detect.thresholds).unwrap_or_default();
        return print(thresholds.explained().as_bytes());
    }
    if let Some(file) = &args.from {
        let report = diagnose::replay(file, &settings)?;
        print(findings::render(&report, args.output, args.color.wanted()).as_bytes())?;
        return Ok(code(report.verdict));
    }
    let begun = || {
        let watch = humantime::format_duration(args.duration);
        let _ = writeln!(io::stderr(), "Watching for {watch}; Ctrl-C ends it early and reports.");
    };
    let on_finding = args.on_finding.clone().map(|program| OnFinding::new(program, args.fail_on));
    let on_finding = Arc::new(Mutex::new(on_finding));
    let notified = {
        let terminal = Some(io::stderr()).filter(io::IsTerminal::is_terminal);
        let (on_finding, mut progress) = (Arc::clone(&on_finding), Progress::new(args.duration, terminal));
        move |findings: &[Finding]| {
            progress.show(findings);
            if let Ok(mut on_finding) = on_finding.lock()
                && let Some(on_finding) = on_finding.as_mut()
            {
                on_finding.tell(findings);
            }
        }
    };
    let report = diagnose::run(&settings, begun, notified)?;
    print(findings::render(&report, args.output, args.color.wanted()).as_bytes())?;
    if let Some(on_finding) = on_finding.lock().ok().and_then(|mut on_finding| on_finding.take()) {
        on_finding.finish(&report.findings);
    }
    Ok(code(report.verdict))
}

fn code(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Healthy => 0,
        Verdict::Findings => FOUND,
        Verdict::Insufficient => LOSSY,
    }
}
