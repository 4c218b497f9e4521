//! What the chosen program knows of each transition, and what it does not.

use super::{
    facts::{BtfState, Facts},
    hooks::{self, Loaded, Tried},
    row::{Group, Row, Status, Subject},
};
use crate::bpf::{Feature, Hook, version};

const fn subject(name: &'static str, without: &'static str, instead: Option<&'static str>) -> Subject {
    Subject { group: Group::Feature, name, without: Some(without), instead }
}

const COOKIE: Subject = subject(
    "cookie",
    "the socket cookie, which tells connections apart for good: it is 0",
    Some("the socket's address within tcptrace; namespace, addresses and ports for a consumer"),
);
const NETNS: Subject = subject(
    "netns",
    "network namespaces: containers are not told apart, and --netns is refused",
    Some("--local and --remote"),
);
const LOCK: Subject = subject(
    "lock",
    "who acts on a socket, apart from transitions that only a system call makes; fewer lines have an owner",
    Some(
        "CLOSE -> LISTEN, CLOSE -> SYN_SENT, LISTEN -> CLOSE, ESTABLISHED -> FIN_WAIT1, CLOSE_WAIT -> LAST_ACK",
    ),
);
const ERROR: Subject = subject(
    "error",
    "why a connection ended: ECONNREFUSED, ECONNRESET, ETIMEDOUT and the like; one that `ss -K` ended has the \
     wrong owner",
    None,
);
const METRICS: Subject =
    subject("close_metrics", "bytes, round-trip time and retransmits of a connection at its end", None);
const TASK: Subject = subject(
    "kernel_threads",
    "kernel threads by their flag: a process may pass as one, or a thread of the kernel as an owner",
    Some("the names of kernel threads"),
);
const BUNDLES: Subject = subject(
    "bundles",
    "nothing, but each record goes onto the ring by itself, which costs more kernel time per transition",
    Some("one record at a time"),
);
const MISSED: Subject = subject(
    "missed_runs",
    "how many runs of the program the kernel skipped: such transitions are missing without a trace",
    Some("the summary says that they are not known"),
);

/// Fields that need nothing but the kernel's type information and leave to read them.
const FIELDS: [(Subject, Feature, &str); 4] = [
    (NETNS, Feature::Netns, "inode number of each socket's namespace"),
    (LOCK, Feature::Lock, "sk_lock.owned"),
    (ERROR, Feature::Error, "sk_err"),
    (METRICS, Feature::Metrics, "bytes_acked, bytes_received, srtt_us, total_retrans"),
];

/// A row each, for the hook that a trace would use.
pub(super) fn rows(tried: &[Tried], facts: &Facts) -> Vec<Row> {
    let Some((hook, loaded)) = hooks::chosen(tried) else {
        let all = [COOKIE, NETNS, LOCK, ERROR, METRICS, TASK, BUNDLES, MISSED];
        return all.map(|subject| subject.row(Status::Unknown, "no hook works, so it was not tried")).into();
    };
    let mut rows = vec![cookie(hook, &loaded, facts)];
    rows.extend(FIELDS.map(|(subject, feature, found)| {
        if loaded.features.has(feature) {
            subject.row(Status::Ok, found)
        } else {
            subject.row(Status::Missing, why_not(feature, facts))
        }
    }));
    rows.push(task(hook, &loaded, facts));
    rows.push(if loaded.features.has(Feature::Bundles) {
        BUNDLES.row(Status::Ok, "BPF_PROG_TEST_RUN flushes a CPU")
    } else {
        BUNDLES
            .row(Status::Missing, "the kernel refused to run a program on a CPU, or the program that bundles")
    });
    rows.push(missed(hook, &loaded, facts));
    rows
}

fn cookie(hook: Hook, loaded: &Loaded, facts: &Facts) -> Row {
    if loaded.features.has(Feature::CookieHelper) {
        return COOKIE.row(Status::Ok, "bpf_get_socket_cookie()");
    }
    if !loaded.features.has(Feature::CookieField) {
        return COOKIE.row(Status::Missing, why_not(Feature::CookieField, facts));
    }
    let why = if hook == Hook::Tracepoint { "with this hook" } else { "before Linux 5.12" };
    COOKIE.row(Status::Limited, format_args!("no helper {why}; the field skc_cookie is 0 until someone asks"))
}

fn task(hook: Hook, loaded: &Loaded, facts: &Facts) -> Row {
    if loaded.features.has(Feature::Task) {
        TASK.row(Status::Ok, "PF_KTHREAD of the current task")
    } else if hook == Hook::Tracepoint {
        TASK.row(Status::Missing, "this hook's program may not read the current task")
    } else {
        TASK.row(Status::Missing, why_not(Feature::Task, facts))
    }
}

fn missed(hook: Hook, loaded: &Loaded, facts: &Facts) -> Row {
    let before_6_7 = facts.release.as_deref().and_then(version).is_some_and(|release| release < (6, 7));
    if !loaded.counts_misses {
        MISSED.row(Status::Missing, "this kernel does not count them (Linux 5.12)")
    } else if hook == Hook::Tracepoint && before_6_7 {
        // Not to be seen from outside: the number is there, and stays 0.
        MISSED
            .row(Status::Limited, "recursion_misses in fdinfo, which for this hook is kept from Linux 6.7 on")
    } else {
        MISSED.row(Status::Ok, "recursion_misses in fdinfo")
    }
}

/// Why the chosen program lacks a feature that comes from the kernel's structures.
fn why_not(feature: Feature, facts: &Facts) -> &'static str {
    match &facts.btf {
        BtfState::Usable { fields, .. } if fields.has(feature) => {
            "the kernel refused the program that reads it (an older kernel, or lockdown)"
        }
        BtfState::Usable { .. } => "the kernel's type information does not have it as tcptrace reads it",
        BtfState::Unusable(_) => "the kernel's type information is not understood; see btf",
        BtfState::Missing(_) => "no type information; see btf",
    }
}
