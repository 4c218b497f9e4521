//! For machines, by `docs/diagnose.schema.json`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    diagnosis::report::Report,
    model::{
        evidence::{Evidence, EvidenceValue},
        finding::Finding,
        text::Escaped,
        who::Who,
    },
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
        "coverage": report.coverage,
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
        "evidence": finding.evidence.iter().map(evidence).collect::<Vec<_>>(),
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

/// The value is a number, true or false, text, or null; what belongs to a number, such as its unit, is beside it.
fn evidence(evidence: &Evidence) -> Value {
    let name = &evidence.name;
    match &evidence.value {
        EvidenceValue::Number(value) => json!({ "name": name, "value": value }),
        EvidenceValue::AtLeast(value) => json!({ "name": name, "value": value, "at_least": true }),
        EvidenceValue::Bytes(value) => json!({ "name": name, "value": value, "unit": "bytes" }),
        EvidenceValue::Duration(time) => json!({ "name": name, "value": seconds(*time), "unit": "s" }),
        EvidenceValue::Part { value, of } => json!({ "name": name, "value": value, "of": of }),
        EvidenceValue::Growth { from, to, within } => {
            let mut growth = json!({ "name": name, "value": difference(*from, *to), "from": from, "to": to });
            if let Some(within) = within {
                growth["within_s"] = seconds(*within).into();
            }
            growth
        }
        EvidenceValue::Flag(value) => json!({ "name": name, "value": value }),
        EvidenceValue::Text(value) => json!({ "name": name, "value": value }),
        EvidenceValue::Unknown => json!({ "name": name, "value": null }),
    }
}

/// `Duration::as_secs_f64()` adds two rounded numbers: 3.6983142239999998 for 3.698314224.
#[expect(clippy::cast_precision_loss, reason = "exact for 104 days")]
fn seconds(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1e9
}

/// By how much a count grew: negative where it shrank. JSON has no more than 64 bits for it.
fn difference(from: u64, to: u64) -> Value {
    match to.checked_sub(from) {
        Some(growth) => growth.into(),
        None => i64::try_from(from - to).map_or(i64::MIN, |shrink| -shrink).into(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The fields of a fact but for its name.
    fn fields(value: impl Into<EvidenceValue>) -> String {
        let mut fields = evidence(&Evidence { name: "fact".to_owned(), value: value.into() });
        let name = fields.as_object_mut().and_then(|fields| fields.remove("name"));
        assert_eq!(name, Some("fact".into()));
        fields.to_string()
    }

    #[test]
    fn numbers() {
        assert_eq!(fields(4_096_u64), r#"{"value":4096}"#);
        assert_eq!(fields(EvidenceValue::AtLeast(65_536)), r#"{"at_least":true,"value":65536}"#);
        assert_eq!(fields(EvidenceValue::Bytes(3_000)), r#"{"unit":"bytes","value":3000}"#);
        assert_eq!(fields(Duration::from_millis(12_500)), r#"{"unit":"s","value":12.5}"#);
        assert_eq!(fields(Duration::from_nanos(3_698_314_224)), r#"{"unit":"s","value":3.698314224}"#);
        assert_eq!(fields(EvidenceValue::part(129_u64, 128_u64)), r#"{"of":128,"value":129}"#);
    }

    #[test]
    fn growth() {
        let growth = |from, to, within| fields(EvidenceValue::Growth { from, to, within });
        let within = Some(Duration::from_secs(10));
        assert_eq!(growth(40, 42, None), r#"{"from":40,"to":42,"value":2}"#);
        assert_eq!(growth(60, 50, within), r#"{"from":60,"to":50,"value":-10,"within_s":10.0}"#);
        assert_eq!(difference(0, u64::MAX), u64::MAX);
        assert_eq!(difference(u64::MAX, 0), i64::MIN);
    }

    #[test]
    fn what_is_no_number() {
        assert_eq!([true, false].map(fields), [r#"{"value":true}"#, r#"{"value":false}"#]);
        assert_eq!(fields("eth0"), r#"{"value":"eth0"}"#);
        assert_eq!(fields(None::<u64>), r#"{"value":null}"#);
    }
}
