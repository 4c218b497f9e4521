//! A diagnosis as text, JSON or Markdown.

mod markdown;
mod text;

use super::fields::{Fields, object};
use crate::{
    diagnosis::report::{Report, Verdict},
    model::{
        finding::{Finding, Severity},
        record::{Found, Phase},
        text::Span,
    },
};

/// Formats of a diagnosis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object; see docs/diagnose.schema.json.
    Json,
    /// For the ticket of an incident.
    Markdown,
}

/// The report in a format.
pub fn render(report: &Report, format: Format, colour: bool) -> String {
    match format {
        Format::Text => text::render(report, colour),
        Format::Json => {
            let mut text = json(report);
            text.push('\n');
            text
        }
        Format::Markdown => markdown::render(report),
    }
}

/// One finding as JSON, as in the report.
pub fn one(finding: &Finding) -> String {
    json(finding)
}

fn json(record: &impl Fields) -> String {
    let mut out = Vec::new();
    object(record, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// A finding that has begun, changed or ended, in one line: severity, kind and sentence.
pub fn moment(found: &Found, coloured: bool) -> String {
    let headline = text::headline(&found.finding, coloured && found.phase != Phase::Ended);
    match found.phase {
        Phase::Begun | Phase::Changed => headline,
        Phase::Ended => format!("ENDED {headline}"),
    }
}

/// The command that shows the page about a kind of finding, also where only the program is installed.
fn more(id: &str) -> String {
    format!("tcptrace explain {id}")
}

/// The verdict, in a sentence.
fn verdict(report: &Report) -> String {
    let watched = format!(
        "Watched {} for {}: {} transitions, {} scans of all sockets.",
        report.host,
        Span(report.elapsed_ns),
        report.totals.transitions,
        report.totals.scans
    );
    let outcome = match report.verdict {
        Verdict::Healthy if report.findings.is_empty() => {
            "Nothing is wrong that tcptrace knows of.".to_owned()
        }
        Verdict::Healthy => format!("Nothing at or above --fail-on was found, only {}.", counted(report)),
        Verdict::Findings => format!("Something is wrong: {}.", counted(report)),
        Verdict::Insufficient => {
            let others = if report.findings.is_empty() { "" } else { " at or above --fail-on" };
            format!(
                "Nothing{others} was found, but not everything could be seen, so this host need not be healthy."
            )
        }
    };
    if report.filters.is_empty() {
        return format!("{outcome} {watched}");
    }
    let filters = report.filters.join(", ");
    format!("{outcome} {watched} These options limit the verdict: {filters}.")
}

/// `1 warning`, `2 warnings`; `critical` and `info` are no nouns.
fn numbered(count: usize, name: &str) -> String {
    let plural = if count > 1 && name == Severity::Warning.name() { "s" } else { "" };
    format!("{count} {name}{plural}")
}

/// `1 critical, 2 warnings`.
fn counted(report: &Report) -> String {
    let of =
        |severity: Severity| report.findings.iter().filter(|finding| finding.severity == severity).count();
    let parts = [Severity::Critical, Severity::Warning, Severity::Info]
        .map(|severity| (of(severity), severity.name()));
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, name)| numbered(*count, name)).collect();
    parts.join(", ")
}

/// The gaps, and the unknown, in a sentence each; `None` when everything was seen.
fn not_seen(report: &Report) -> Option<String> {
    let coverage = &report.coverage;
    let unknown =
        (!coverage.unknown.is_empty()).then(|| format!("Not known: {}.", coverage.unknown.join("; ")));
    let lost = (coverage.lost > 0).then(|| format!("{} records that were lost", coverage.lost));
    let parts: Vec<&str> =
        lost.as_deref().into_iter().chain(coverage.gaps.iter().map(String::as_str)).collect();
    let missing = (!parts.is_empty()).then(|| format!("Not seen: {}.", parts.join("; ")));
    let sentences: Vec<String> = missing.into_iter().chain(unknown).collect();
    (!sentences.is_empty()).then(|| sentences.join(" "))
}
