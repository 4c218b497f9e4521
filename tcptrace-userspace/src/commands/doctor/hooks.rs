//! Tries of both hooks: each is loaded as a trace would load it, attached, and detached at once.

use tcptrace_core::model::hooks::Hook;

use super::{
    chain,
    row::{Group, Row, Status, Subject},
};
use crate::bpf::{self, Features, Options};

/// A hook, and the outcome of its try.
pub(super) struct Tried {
    pub(super) hook: Hook,
    pub(super) outcome: Result<Loaded, bpf::Error>,
}

/// Facts about a program from the time when it was attached.
#[derive(Clone, Copy)]
pub(super) struct Loaded {
    pub(super) features: Features,
    /// Whether the kernel counts the runs that it skips.
    pub(super) counts_misses: bool,
    pub(super) jited: Option<bool>,
}

impl Tried {
    /// The reason why it does not work.
    pub(super) fn error(&self) -> Option<String> {
        self.outcome.as_ref().err().map(|error| chain(error))
    }
}

/// Tries all hooks, in order of preference.
pub(super) fn try_all() -> Vec<Tried> {
    [Hook::TpBtf, Hook::Tracepoint].map(|hook| Tried { hook, outcome: try_one(hook) }).into()
}

fn try_one(hook: Hook) -> Result<Loaded, bpf::Error> {
    let tracer = bpf::load(&Options { hook: Some(hook), ..Options::default() })?;
    Ok(Loaded {
        features: tracer.features(),
        counts_misses: tracer.missed_runs().is_some(),
        jited: tracer.jited(),
    })
}

/// The program that a trace would use.
pub(super) fn chosen(tried: &[Tried]) -> Option<(Hook, Loaded)> {
    tried.iter().find_map(|tried| Some((tried.hook, *tried.outcome.as_ref().ok()?)))
}

const fn subject(hook: Hook) -> Subject {
    let (name, consequence, instead) = match hook {
        Hook::TpBtf => (
            "tp_btf",
            "a transition costs two to three times as much, and is missed while another tracepoint or kprobe \
             program runs on its CPU",
            "tracepoint",
        ),
        Hook::Tracepoint => ("tracepoint", "there is no other way where tp_btf does not work", "tp_btf"),
    };
    Subject { group: Group::Hook, name, consequence: Some(consequence), instead: Some(instead) }
}

/// One row for each hook.
pub(super) fn rows(tried: &[Tried]) -> Vec<Row> {
    let chosen = chosen(tried).map(|(hook, _)| hook);
    let row = |tried: &Tried| {
        let subject = subject(tried.hook);
        match tried.error() {
            Some(error) => subject.row(Status::Missing, error),
            None if chosen == Some(tried.hook) => subject.row(Status::Ok, "works; a trace uses it"),
            None => subject.row(Status::Ok, "works; in reserve (--hook tracepoint)"),
        }
    };
    tried.iter().map(row).collect()
}
