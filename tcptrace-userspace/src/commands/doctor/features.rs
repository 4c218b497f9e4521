//! Features of the chosen program as rows: those that it has, and those that it lacks.

use tcptrace_core::model::hooks::Hook;

use super::{
    facts::{BtfState, Facts},
    hooks::{self, Loaded, Tried},
    row::{Group, Row, Status, Subject},
};
use crate::bpf::{Feature, keeps_missed_runs};

const fn subject(name: &'static str, consequence: &'static str, instead: Option<&'static str>) -> Subject {
    Subject { group: Group::Feature, name, consequence: Some(consequence), instead }
}

/// The same feature where the kernel has a part of it: the consequence differs from that of a missing feature.
const fn in_part(whole: Subject, consequence: &'static str, instead: Option<&'static str>) -> Subject {
    subject(whole.name, consequence, instead)
}

const COOKIE: Subject = subject(
    "cookie",
    "lines cannot be matched by the socket's cookie, which is 0",
    Some("the socket's address within tcptrace; namespace, addresses and ports for whoever reads the output"),
);
const COOKIE_ASKED_FOR: Subject = in_part(
    COOKIE,
    "the cookie of a socket is 0 until something on the host has asked for it",
    COOKIE.instead,
);
const NETNS: Subject = subject(
    "netns",
    "containers cannot be distinguished, and --netns is refused",
    Some("addresses: --local and --remote"),
);
const LOCK: Subject = subject(
    "lock",
    "fewer lines have an owner: who acts on a socket is known only where nothing but a system call can",
    Some(
        "CLOSE -> LISTEN, CLOSE -> SYN_SENT, LISTEN -> CLOSE, ESTABLISHED -> FIN_WAIT1, CLOSE_WAIT -> LAST_ACK",
    ),
);
const ERROR: Subject = subject(
    "error",
    "why a connection ended is not shown (ECONNREFUSED, ECONNRESET, ETIMEDOUT); who ends one by `ss -K` may pass \
     as its owner",
    None,
);
const ERROR_REPORTED: Subject = in_part(
    ERROR,
    "the error of a connection that its program had closed before may be missing: the kernel reports errors to programs",
    None,
);
const METRICS: Subject =
    subject("close_metrics", "no bytes, round-trip time and retransmits at the end of a connection", None);
const METRICS_COUNTED: Subject = in_part(
    METRICS,
    "no bytes and no round-trip time at the end of a connection, and no retransmits of pre-existing connections",
    None,
);
const EVIDENCE: Subject = subject(
    "close_evidence",
    "of a connection that ends without an error, or by a time-out, the cause is not shown, nor its way into TIME_WAIT",
    Some("the error"),
);
const RESETS: Subject = subject(
    "resets",
    "the kernel's reason for a reset is not shown, and a connection that the kernel resets in FIN_WAIT2 passes as \
     closed",
    Some("what the socket itself says"),
);
const RESETS_UNEXPLAINED: Subject = in_part(
    RESETS,
    "the kernel's reason for a reset that this side sent is not shown (reset_reason)",
    Some("the cause, which is reported all the same"),
);
const TASK: Subject = subject(
    "kernel_threads",
    "a kernel thread may be shown as an owner, and a process may pass as one",
    Some("the usual names of kernel threads"),
);
const BATCHES: Subject = subject(
    "batches",
    "each record goes onto the ring by itself, which costs more kernel time per transition",
    Some("one record at a time"),
);
const MISSED: Subject = subject(
    "missed_runs",
    "transitions that the kernel did not run the program for are missing unnoticed",
    None,
);

/// Fields that need only the kernel's type information, and the permission to read them.
const FIELDS: [(Subject, Feature, &str); 5] = [
    (NETNS, Feature::Netns, "inode number of each socket's namespace"),
    (LOCK, Feature::Lock, "sk_lock.owned"),
    (ERROR, Feature::Error, "sk_err"),
    (METRICS, Feature::Metrics, "bytes_acked, bytes_received, srtt_us, total_retrans"),
    (EVIDENCE, Feature::Evidence, "shutdown, linger, probes, retransmissions, segments sent"),
];

/// One row for each feature, for the hook that a trace would use.
pub(super) fn rows(tried: &[Tried], facts: &Facts) -> Vec<Row> {
    let Some((hook, loaded)) = hooks::chosen(tried) else {
        let all = [COOKIE, NETNS, LOCK, ERROR, METRICS, EVIDENCE, RESETS, TASK, BATCHES, MISSED];
        return all.map(|subject| subject.row(Status::Unknown, "no hook works, so it was not tried")).into();
    };
    let mut rows = vec![cookie(hook, &loaded, facts)];
    rows.extend(FIELDS.map(|(subject, feature, found)| {
        let has = |feature| loaded.features.has(feature);
        match feature {
            _ if has(feature) => subject.row(Status::Ok, found),
            Feature::Error if has(Feature::Errors) => ERROR_REPORTED
                .row(Status::Limited, "no sk_err, but sock:inet_sk_error_report at the end of a connection"),
            Feature::Metrics if has(Feature::Retransmits) => {
                METRICS_COUNTED.row(Status::Limited, "only retransmits, by tcp:tcp_retransmit_skb")
            }
            _ => subject.row(Status::Missing, why_not(feature, facts)),
        }
    }));
    rows.push(resets(&loaded));
    rows.push(task(hook, &loaded, facts));
    rows.push(if loaded.features.has(Feature::Batches) {
        BATCHES.row(Status::Ok, "BPF_PROG_TEST_RUN flushes a CPU")
    } else {
        BATCHES.row(
            Status::Missing,
            "the kernel refused to run a program on a CPU, or the program that makes batches",
        )
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
    COOKIE_ASKED_FOR
        .row(Status::Limited, format_args!("no helper {why}; the field skc_cookie is 0 until someone asks"))
}

fn resets(loaded: &Loaded) -> Row {
    let features = loaded.features;
    match (features.has(Feature::Resets), features.has(Feature::ResetReason)) {
        (true, true) => RESETS.row(Status::Ok, "tcp:tcp_receive_reset; tcp:tcp_send_reset with its reason"),
        (true, false) => RESETS_UNEXPLAINED.row(
            Status::Limited,
            "tcp:tcp_receive_reset; tcp:tcp_send_reset, which has no reason in this kernel (Linux 6.10)",
        ),
        (false, _) => RESETS
            .row(Status::Missing, "the kernel refused the programs on tcp_send_reset and tcp_receive_reset"),
    }
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
    let kept = facts.release.as_deref().is_none_or(|release| keeps_missed_runs(hook, release));
    if loaded.counts_misses {
        MISSED.row(Status::Ok, "recursion_misses in fdinfo")
    } else if !kept {
        MISSED.row(Status::Missing, "this kernel does not count them for this hook (Linux 6.7)")
    } else {
        let none = if hook == Hook::TpBtf { ", and with this hook is not known to skip any" } else { "" };
        MISSED.row(Status::Missing, format_args!("this kernel does not count them (Linux 5.12){none}"))
    }
}

/// The reason why the chosen program lacks a feature that comes from the kernel's structures.
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
