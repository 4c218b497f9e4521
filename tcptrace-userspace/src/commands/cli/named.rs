//! Values of options that have names: the library knows the values, the command line their names and what they mean.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use tcptrace_core::{
    model::{finding::Severity, hooks::Hook, scan::By},
    output::{Format, findings},
};

/// Names, values, and a help text for each.
type Table<T> = &'static [(&'static str, T, &'static str)];

/// Of `-o`, where records are printed.
pub(super) const FORMATS: Table<Format> = &[
    ("text", Format::Text, "Columns for people"),
    ("wide", Format::Wide, "More columns: namespace, context, cookie, final figures"),
    ("json", Format::Json, "One JSON object a line; see docs/output.schema.json"),
    ("csv", Format::Csv, "Comma-separated values with a header line"),
];

/// Of `-o`, where findings are printed.
pub(super) const REPORT_FORMATS: Table<findings::Format> = &[
    ("text", findings::Format::Text, "For people"),
    ("json", findings::Format::Json, "One JSON object; see docs/diagnose.schema.json"),
    ("markdown", findings::Format::Markdown, "To paste into an incident's ticket"),
];

/// Of `--fail-on`.
pub(super) const SEVERITIES: Table<Severity> = &[
    ("info", Severity::Info, "A pattern that is worth knowing; nobody is harmed"),
    (
        "warning",
        Severity::Warning,
        "Data or connections were lost, somebody waits with work pending, or a limit will be reached",
    ),
    ("critical", Severity::Critical, "Somebody is turned away, or fails, now"),
];

/// Of `--hook`.
pub(super) const HOOKS: Table<Hook> = &[
    ("tp_btf", Hook::TpBtf, "BTF-typed tracepoint, the better one: needs a kernel with BTF"),
    (
        "tracepoint",
        Hook::Tracepoint,
        "Classic tracepoint: needs tracefs; the kernel skips it while another such program runs on the CPU",
    ),
];

/// Of `--by`.
pub(super) const GROUPS: Table<By> = &[
    ("state", By::State, "Their state"),
    (
        "process",
        By::Process,
        "The process that has them open; of several, each. Of those that nobody has open, the one process that has \
         their listener open",
    ),
    (
        "listener",
        By::Listener,
        "The local address and port that they were made to, if something listens there",
    ),
    ("peer", By::Peer, "The remote address"),
    ("container", By::Container, "The container of the process; without one, its systemd unit"),
];

/// Takes one of these names.
pub(super) fn one_of<T: Copy + Send + Sync + 'static>(table: Table<T>) -> impl TypedValueParser<Value = T> {
    let values = table.iter().map(|(name, _, help)| PossibleValue::new(*name).help(*help));
    PossibleValuesParser::new(values).try_map(|name| {
        let known = table.iter().find(|(known, ..)| *known == name);
        known.map(|(_, value, _)| *value).ok_or("it has no such value")
    })
}
