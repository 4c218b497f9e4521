//! For machines, by `docs/diagnose.schema.json`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    diagnosis::report::Report,
    model::{finding::Finding, text::Escaped, who::Who},
};

/// Version of the form.
const SCHEMA: u32 = 1;

pub(super) fn render(report: &Report) -> String {
    let mut text = value(report).to_string();
    text.push('\n');
    text
}

fn value(report: &Report) -> Value {
    let findings: Vec<Value> = report.findings.iter().map(finding).collect();
    json!({
        "schema": SCHEMA,
        "tool": concat!("tcptrace ", env!("CARGO_PKG_VERSION")),
        "host": report.host,
        "kernel": report.kernel,
        "started": report.started.to_string(),
        "duration_s": Duration::from_nanos(report.elapsed_ns).as_secs_f64(),
        "filters": report.filters,
        "verdict": report.verdict,
        "findings": findings,
        "sight": report.sight,
        "totals": report.totals,
    })
}

/// One finding.
pub(super) fn finding(finding: &Finding) -> Value {
    json!({
        "id": finding.id,
        "subject": finding.subject,
        "netns": finding.netns,
        "severity": finding.severity,
        "harm": finding.harm,
        "confidence": finding.confidence,
        "summary": finding.summary,
        "evidence": finding.evidence,
        "samples": finding.samples,
        "owners": finding.owners.iter().map(owner).collect::<Vec<_>>(),
        "peers": finding.peers,
        "next_steps": finding.next_steps,
        "look_alikes": finding.look_alikes,
        "consequences": finding.consequences,
        "not_seen": finding.not_seen,
        "doc": format!("docs/findings/{}.md", finding.id),
    })
}

fn owner(who: &Who) -> Value {
    let process = who.process.as_deref();
    let comm = Escaped(&who.comm).to_string();
    json!({
        "pid": who.pid,
        "comm": (!comm.is_empty()).then_some(comm),
        "exe": process.and_then(|process| process.exe.as_deref()).map(|exe| Escaped(exe).to_string()),
        "exe_deleted": process.filter(|process| process.exe.is_some()).map(|process| process.exe_deleted),
        "uid": process.map(|process| process.uid),
        "unit": process.and_then(|process| process.unit.as_ref()).map(|unit| Escaped(unit.as_bytes()).to_string()),
        "container": process.and_then(|process| process.container.as_ref()).map(|container| json!({
            "runtime": container.runtime.to_string(),
            "id": Escaped(container.id.as_bytes()).to_string(),
            "pod_uid": container.pod_uid.as_ref().map(|uid| Escaped(uid.as_bytes()).to_string()),
        })),
    })
}
