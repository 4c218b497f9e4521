//! A diagnosis as Markdown, for a ticket.

use std::fmt::Write as _;

use super::{counted, more, not_seen, verdict};
use crate::{diagnosis::report::Report, model::finding::Finding};

pub(super) fn render(report: &Report) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "## TCP on {}: {}\n", escaped(&report.host), report.verdict.name());
    let _ = writeln!(text, "{}\n", escaped(&verdict(report)));
    let _ = writeln!(text, "Linux {}, from {}.", escaped(&report.kernel), report.started);
    if let Some(not_seen) = not_seen(report) {
        let _ = writeln!(text, "\n> {}", escaped(&not_seen));
    }
    if !report.findings.is_empty() {
        let _ = writeln!(text, "\n{}:", counted(report));
    }
    for finding in &report.findings {
        one(finding, &mut text);
    }
    text
}

fn one(finding: &Finding, text: &mut String) {
    let _ = writeln!(text, "\n### {}: {}\n", finding.severity.name(), finding.id);
    let _ = writeln!(text, "{}\n", escaped(&finding.summary));
    if let Some(harm) = &finding.harm {
        let _ = writeln!(text, "- harm: {}", escaped(&harm.to_string()));
    }
    for consequence in &finding.consequences {
        let _ = writeln!(text, "- so that: {}: {}", consequence.id, escaped(&consequence.summary));
    }
    for evidence in &finding.evidence {
        let _ = writeln!(text, "- {}: {}", escaped(&evidence.name), escaped(&evidence.value.to_string()));
    }
    for owner in &finding.owners {
        let _ = writeln!(text, "- owner: {}", escaped(&owner.to_string()));
    }
    for peer in &finding.peers {
        let port = peer.port.map(|port| format!(" port {port}")).unwrap_or_default();
        let _ = writeln!(text, "- peer: {}{port} ({})", peer.address, peer.count);
    }
    for missing in &finding.not_seen {
        let _ = writeln!(text, "- not seen: {}", escaped(missing));
    }
    if !finding.samples.is_empty() {
        let _ = writeln!(text, "\n```text\n{}\n```", finding.samples.join("\n"));
    }
    text.push('\n');
    for (number, step) in finding.next_steps.iter().enumerate() {
        let command = step.command.as_ref().map(|command| format!(": `{command}`")).unwrap_or_default();
        let _ = writeln!(text, "{}. {}{command}", number + 1, escaped(&step.what));
    }
    let _ = writeln!(text, "\nMore: `{}`", more(finding.id));
}

/// Escapes a text. Strangers choose the names in it, so nothing in it may be markup.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '<' | '>' | '#' | '|' | '~') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_mark() {
        assert_eq!(escaped("a`b[x](y)<z>|_*"), "a\\`b\\[x\\](y)\\<z\\>\\|\\_\\*");
    }
}
