//! Tracing, or replaying, and showing what comes: of `trace` and `life`.

use std::{
    io::{self, Write as _},
    path::Path,
};

use super::{LOSSY, logger, misused};
use crate::{commands::diagnose::tell_findings, diagnosis::detect, output::Format, trace};

/// Traces, or replays the capture `from`; `note` is for the user's eyes before that. `findings`: tell them, and whether
/// half-open connections are shown beside them.
pub(super) fn show(
    settings: anyhow::Result<trace::Settings>,
    from: Option<&Path>,
    note: Option<&str>,
    findings: Option<bool>,
) -> anyhow::Result<u8> {
    let settings = match settings {
        Ok(settings) => settings,
        Err(error) => return Ok(misused(&error)),
    };
    if let Some(note) = note {
        let _ = writeln!(io::stderr(), "tcptrace: {note}");
    }
    if settings.bpf.verbose {
        logger::install();
    }
    let wrap = |own_netns, sink| match findings {
        Some(half_open) => {
            let aside = aside(settings.format);
            let of_one_process = settings.bpf.filter.tgid != 0;
            let options = detect::Options { own_netns, of_one_process, ..detect::Options::default() };
            tell_findings(sink, options, half_open, aside)
        }
        None => sink,
    };
    let outcome = match from {
        Some(file) => trace::replay(file, &settings, wrap)?,
        None => trace::run(&settings, wrap)?,
    };
    Ok(match outcome {
        trace::Outcome::Done(summary) if summary.is_lossy() => LOSSY,
        trace::Outcome::Damaged => LOSSY,
        trace::Outcome::Done(_) | trace::Outcome::OutputClosed => 0,
    })
}

/// Where findings are told that do not fit into the rows of a format.
fn aside(format: Format) -> Option<Box<dyn io::Write>> {
    (format == Format::Csv).then(|| Box::new(io::stderr()) as Box<dyn io::Write>)
}
