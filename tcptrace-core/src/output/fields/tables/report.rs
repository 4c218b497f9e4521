//! A diagnosis.

use std::{iter::Map, slice::Iter, time::Duration};

use jiff::Timestamp;

use crate::{
    diagnosis::report::{Coverage, Report, Totals, Verdict},
    model::finding::Finding,
    output::fields::{
        table::fields,
        values::{Array, Object, Quoted, Shown, Strings, Version},
    },
};

/// Objects of a slice.
pub(super) type Objects<'a, T> = Array<Map<Iter<'a, T>, fn(&'a T) -> Object<&'a T>>>;

/// Each of these as an object.
pub(super) fn objects<T>(all: &[T]) -> Objects<'_, T> {
    Array(all.iter().map(Object))
}

fields! { "report", impl[] for Report, |report|,
    "One object. Fields may be added without a new schema number; a field that is described here keeps its name, type, unit and \
     meaning until `schema` changes.", {
    "coverage": Object<&Coverage> = Object(&report.coverage), "";
    "duration_s": f64 = Duration::from_nanos(report.elapsed_ns).as_secs_f64(), "How long it was, in seconds.";
    "filters": Strings<'_> = Strings(&report.filters),
        "The options that left out sockets or kinds of findings, such as \"--local-port 80\", of this diagnosis or of the \
         recording. The verdict does not cover what they left out.";
    "findings": Objects<'_, Finding> = objects(&report.findings), "The worst first.";
    "host": Quoted<'_> = Quoted(&report.host), "The host's name.";
    "kernel": Quoted<'_> = Quoted(&report.kernel), "Its release.";
    "schema": Version = Version, "";
    "started": Shown<Timestamp> = Shown(report.started), "When the watch began, RFC 3339, UTC.";
    "tool": Quoted<'_> = Quoted(concat!("tcptrace ", env!("CARGO_PKG_VERSION"))), "Name and version.";
    "totals": Object<&Totals> = Object(&report.totals), "What was seen.";
    "verdict": Verdict = report.verdict,
        "healthy: nothing at or above --fail-on was found, and everything was seen; findings may have what is below it. \
         findings: something at or above --fail-on was found. insufficient: nothing at or above it was found, but not \
         everything was seen.";
} }

fields! { "coverage", impl[] for Coverage, |coverage|, "How much could be seen.", {
    "gaps": Strings<'_> = Strings(&coverage.gaps), "What could not be seen, in words.";
    "hooks": Strings<'_> = Strings(&coverage.hooks), "What was hooked.";
    "lost": u64 = coverage.lost,
        "Records that were lost, missed, or only counted since there were too many.";
    "unknown": Strings<'_> = Strings(&coverage.unknown),
        "What this kernel does not report, so that it may be missing. It does not change the verdict.";
} }

fields! { "totals", impl[] for Totals, |totals|, "",
    rules r#"{ "additionalProperties": { "type": "integer", "minimum": 0 } }"#, {
    "half_open": u64 = totals.half_open, "Half-open connections that were followed.";
    "scans": u64 = totals.scans, "Scans of the host's sockets.";
    "transitions": u64 = totals.transitions, "Transitions of the whole host.";
} }
