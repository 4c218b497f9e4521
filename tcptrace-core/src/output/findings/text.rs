//! A diagnosis as text, for people.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::{more, not_seen, verdict};
use crate::{
    diagnosis::report::Report,
    model::finding::{Finding, Level, Severity},
};

pub(super) fn render(report: &Report, colour: bool) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        one(finding, colour, &mut text);
        text.push('\n');
    }
    let _ = writeln!(text, "{}", verdict(report));
    if let Some(not_seen) = not_seen(report) {
        let _ = writeln!(text, "{not_seen}");
    }
    text
}

/// Severity, kind and sentence of a finding.
pub(super) fn headline(finding: &Finding, colour: bool) -> String {
    let style = match finding.severity {
        _ if !colour => Style::new(),
        Severity::Critical => AnsiColor::Red.on_default().bold(),
        Severity::Warning => AnsiColor::Yellow.on_default().bold(),
        Severity::Info => Style::new().bold(),
    };
    let severity = finding.severity.name().to_uppercase();
    let harm = finding.harm.as_ref().map(|harm| format!(". Harm: {harm}")).unwrap_or_default();
    format!("{style}{severity} {}{style:#}: {}{harm}", finding.id, finding.summary)
}

fn one(finding: &Finding, colour: bool, text: &mut String) {
    let _ = writeln!(text, "{}", headline(finding, colour));
    let sure = match finding.confidence.level {
        Level::High => "high",
        Level::Medium => "medium",
    };
    let raised =
        finding.confidence.raised_by.as_ref().map(|by| format!("; surer by {by}")).unwrap_or_default();
    line("confidence", &format!("{sure}{raised}"), text);
    for evidence in &finding.evidence {
        line("evidence", &format!("{}: {}", evidence.name, evidence.value), text);
    }
    for owner in &finding.owners {
        line("owner", &owner.to_string(), text);
    }
    for peer in &finding.peers {
        let port = peer.port.map(|port| format!(" port {port}")).unwrap_or_default();
        line("peer", &format!("{}{port}: {}", peer.address, peer.count), text);
    }
    for sample in &finding.samples {
        line("example", sample, text);
    }
    for consequence in &finding.consequences {
        line("so that", &format!("{}: {}", consequence.id, consequence.summary), text);
    }
    for (number, step) in finding.next_steps.iter().enumerate() {
        let command = step.command.as_ref().map(|command| format!(":  {command}")).unwrap_or_default();
        line("next", &format!("{}. {}{command}", number + 1, step.what), text);
    }
    for not in &finding.look_alikes {
        line("is not", not, text);
    }
    for missing in &finding.not_seen {
        line("not seen", missing, text);
    }
    line("more", &more(finding.id), text);
}

/// Appends a line with the name in a column, and the value.
fn line(name: &str, value: &str, text: &mut String) {
    let _ = writeln!(text, "  {name:<11}{value}");
}
