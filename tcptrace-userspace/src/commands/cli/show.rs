//! Tracing, or replaying, and showing what comes: of `trace` and `life`.

use std::{
    io::{self, Write as _},
    path::Path,
};

use tcptrace_core::{
    model::{record::Record, transition::Transition},
    output::{Format, findings},
    pipeline::Sink,
};

use super::{LOSSY, logger, misused};
use crate::commands::stream::{self, Settings, Shown};

/// Traces, or replays the capture `from`; `note` is for the user's eyes before that.
pub(super) fn show(
    settings: anyhow::Result<Settings>,
    from: Option<&Path>,
    note: Option<&str>,
) -> anyhow::Result<u8> {
    let settings = match settings {
        Ok(settings) => settings,
        Err(error) => return Ok(misused(&error)),
    };
    if let Some(note) = note {
        let _ = writeln!(io::stderr(), "tcptrace: {note}");
    }
    if settings.trace.bpf.verbose {
        logger::install();
    }
    let format = settings.format;
    let wrap = move |sink| match format {
        Format::Csv => Box::new(FindingsApart(sink)) as Box<dyn Sink>,
        Format::Text | Format::Wide | Format::Json => sink,
    };
    let outcome = match from {
        Some(file) => stream::replay(file, &settings, wrap)?,
        None => stream::run(&settings, wrap)?,
    };
    Ok(match outcome {
        Shown::Done(summary) if summary.is_lossy() => LOSSY,
        Shown::Damaged => LOSSY,
        Shown::Done(_) | Shown::OutputClosed => 0,
    })
}

/// Prints findings, which do not fit into rows, on standard error.
struct FindingsApart(Box<dyn Sink>);

impl Sink for FindingsApart {
    fn header(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        self.0.header(out)
    }

    fn transition(&mut self, transition: &Transition, out: &mut Vec<u8>) -> io::Result<()> {
        self.0.transition(transition, out)
    }

    fn write(&mut self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
        if let Record::Finding(found) = record {
            // One that is closed does not stop the trace. A full pipe does until someone reads, and what the ring has no
            // room for meanwhile counts as lost.
            let _ = writeln!(io::stderr(), "tcptrace: {}", findings::moment(found, false));
            return Ok(());
        }
        self.0.write(record, out)
    }
}
