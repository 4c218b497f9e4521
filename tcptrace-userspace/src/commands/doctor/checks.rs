//! The facts of the host as rows, with the meaning of each for tracing.

use std::fmt;

use super::{
    facts::{BtfState, Cgroup, Facts, Memlock, Tracefs},
    hooks::{self, Tried},
    row::{Group, Row, Status, Subject},
};
use crate::bpf::{self, Capability, version};

/// A fact of the host. Facts that can be anything but ok have a consequence.
const fn subject(
    name: &'static str,
    consequence: Option<&'static str>,
    instead: Option<&'static str>,
) -> Subject {
    Subject { group: Group::Host, name, consequence, instead }
}

/// One row for each fact.
pub(super) fn rows(facts: &Facts, tried: &[Tried]) -> Vec<Row> {
    vec![
        kernel(facts),
        capabilities(facts),
        btf(facts),
        tracefs(facts),
        ring_buffer(tried),
        jit(facts, tried),
        lockdown(facts),
        unprivileged_bpf(facts),
        memlock(facts),
        cgroup(facts),
        others(facts),
    ]
}

fn kernel(facts: &Facts) -> Row {
    let subject = subject("kernel", None, None);
    match &facts.release {
        Some(release) => subject.row(Status::Ok, format_args!("Linux {release}, {}", std::env::consts::ARCH)),
        None => subject.row(Status::Unknown, "/proc/sys/kernel/osrelease cannot be read"),
    }
}

fn capabilities(facts: &Facts) -> Row {
    const NAMES: [(Capability, &str); 3] = [
        (Capability::Bpf, "CAP_BPF"),
        (Capability::Perfmon, "CAP_PERFMON"),
        (Capability::SysAdmin, "CAP_SYS_ADMIN"),
    ];
    let subject = subject("capabilities", Some("no tracing at all"), None);
    let Some(capabilities) = facts.capabilities else {
        return subject.row(Status::Unknown, "/proc/self/status cannot be read");
    };
    let has: Vec<&str> =
        NAMES.iter().filter(|(one, _)| capabilities.has(*one)).map(|(_, name)| *name).collect();
    if capabilities.may_trace() {
        return subject.row(Status::Ok, has.join(", "));
    }
    let has = if has.is_empty() { "none of these".to_owned() } else { format!("{} alone", has.join(", ")) };
    subject.row(Status::Missing, format_args!("{has}; CAP_BPF and CAP_PERFMON are needed, or CAP_SYS_ADMIN"))
}

fn btf(facts: &Facts) -> Row {
    let subject = subject(
        "btf",
        Some("no hook tp_btf, and with hook tracepoint nothing but the event's record"),
        Some("the record of the classic tracepoint"),
    );
    match &facts.btf {
        BtfState::Usable { bytes, .. } => {
            subject.row(Status::Ok, format_args!("/sys/kernel/btf/vmlinux, {} KiB", bytes >> 10))
        }
        BtfState::Unusable(error) => subject.row(Status::Missing, error),
        BtfState::Missing(error) => subject.row(
            Status::Missing,
            format_args!("/sys/kernel/btf/vmlinux: {error} (CONFIG_DEBUG_INFO_BTF=y makes it)"),
        ),
    }
}

fn tracefs(facts: &Facts) -> Row {
    let subject = subject(
        "tracefs",
        Some("no hook tracepoint, unless it can be mounted"),
        Some("hook tp_btf, which does without"),
    );
    match &facts.tracefs {
        Tracefs::Mounted(place) => subject.row(Status::Ok, format_args!("mounted on /{place}")),
        Tracefs::Forbidden(place) => {
            subject.row(Status::Unknown, format_args!("/{place} may not be read by this user"))
        }
        Tracefs::NotMounted | Tracefs::NoEvent(_) if confidential(facts) => {
            subject.row(Status::Missing, "closed by the kernel's lockdown; see lockdown")
        }
        Tracefs::NoEvent(place) => {
            subject.row(Status::Missing, format_args!("/{place} has no event sock:inet_sock_set_state"))
        }
        Tracefs::NotMounted if facts.capabilities.is_none_or(|caps| caps.has(Capability::SysAdmin)) => {
            subject.row(Status::Limited, "not mounted; tcptrace mounts it where nobody else sees it")
        }
        Tracefs::NotMounted => subject.row(Status::Missing, "not mounted; mounting it takes CAP_SYS_ADMIN"),
        Tracefs::NotInKernel => {
            subject.row(Status::Missing, "this kernel does not have it (CONFIG_FTRACE=y makes it)")
        }
        Tracefs::Unknown => subject.row(Status::Unknown, "not mounted; /proc/filesystems cannot be read"),
    }
}

fn ring_buffer(tried: &[Tried]) -> Row {
    let subject = subject("ring_buffer", Some("no tracing at all: Linux 5.8 or newer is needed"), None);
    let refused = |tried: &Tried| matches!(tried.outcome, Err(bpf::Error::NoRingBuffer(_)));
    if hooks::chosen(tried).is_some() {
        subject.row(Status::Ok, "the kernel made one")
    } else if tried.iter().any(refused) {
        subject.row(Status::Missing, "the kernel does not know this kind of map")
    } else {
        subject.row(Status::Unknown, "no hook works, so none was made")
    }
}

fn jit(facts: &Facts, tried: &[Tried]) -> Row {
    let subject =
        subject("jit", Some("each transition costs several times as much"), Some("the kernel's interpreter"));
    // A loaded program is the best source.
    match (hooks::chosen(tried).and_then(|(_, loaded)| loaded.jited), facts.jit, facts.jit_always_on) {
        (Some(true), ..) => subject.row(Status::Ok, "the program was compiled"),
        (Some(false), ..) => {
            subject.row(Status::Missing, "the program was not compiled (net.core.bpf_jit_enable)")
        }
        (None, Some(0), _) => subject.row(Status::Missing, "net.core.bpf_jit_enable = 0"),
        (None, Some(enabled), _) => {
            subject.row(Status::Ok, format_args!("net.core.bpf_jit_enable = {enabled}"))
        }
        (None, None, Some(true)) => subject.row(Status::Ok, "CONFIG_BPF_JIT_ALWAYS_ON=y"),
        (None, None, _) => subject.row(Status::Unknown, "net.core.bpf_jit_enable cannot be read"),
    }
}

/// Whether the strictest lockdown is in force.
fn confidential(facts: &Facts) -> bool {
    facts.lockdown.as_deref() == Some("confidentiality")
}

fn lockdown(facts: &Facts) -> Row {
    let subject = subject(
        "lockdown",
        Some("tracefs is closed, and programs may not copy kernel memory: no hook tracepoint"),
        Some("hook tp_btf, whose loads the verifier checks"),
    );
    match facts.lockdown.as_deref() {
        Some("confidentiality") => subject.row(Status::Limited, "confidentiality"),
        Some(mode) => subject.row(Status::Ok, mode),
        None => subject
            .row(Status::Unknown, "/sys/kernel/security/lockdown is not there (is securityfs mounted?)"),
    }
}

fn unprivileged_bpf(facts: &Facts) -> Row {
    let subject = subject("unprivileged_bpf", None, None);
    let meaning = match facts.unprivileged_bpf {
        Some(0) => "users without privileges may load some programs, though none that trace",
        Some(_) => "users without privileges may not load programs",
        None => return subject.row(Status::Unknown, "kernel.unprivileged_bpf_disabled cannot be read"),
    };
    let value = facts.unprivileged_bpf.unwrap_or_default();
    subject.row(Status::Ok, format_args!("kernel.unprivileged_bpf_disabled = {value}: {meaning}"))
}

fn memlock(facts: &Facts) -> Row {
    let subject = subject(
        "memlock",
        Some("no tracing at all if the maps do not fit"),
        Some("a smaller --buffer, `ulimit -l unlimited`, or LimitMEMLOCK=infinity in a systemd unit"),
    );
    let limit: &dyn fmt::Display = match &facts.memlock {
        None => return subject.row(Status::Unknown, "/proc/self/limits cannot be read"),
        Some(Memlock::Unlimited) => return subject.row(Status::Ok, "unlimited"),
        Some(Memlock::Limit(bytes)) => bytes,
    };
    match facts.release.as_deref().and_then(version) {
        Some(release) if release >= (5, 11) => {
            subject.row(Status::Ok, format_args!("{limit} bytes, irrelevant since Linux 5.11"))
        }
        _ if facts.capabilities.is_some_and(|caps| caps.has(Capability::SysResource)) => {
            subject.row(Status::Ok, format_args!("{limit} bytes, which tcptrace may lift"))
        }
        _ => subject.row(Status::Limited, format_args!("{limit} bytes, which count before Linux 5.11")),
    }
}

fn cgroup(facts: &Facts) -> Row {
    let subject = subject(
        "cgroup",
        Some("cgroup_id is that of version 2, in which such a host usually keeps no containers"),
        Some("process ids, and --netns"),
    );
    match facts.cgroup {
        Some(Cgroup::V2) => subject.row(Status::Ok, "version 2"),
        Some(Cgroup::Hybrid) => subject.row(Status::Limited, "versions 1 and 2 (hybrid)"),
        Some(Cgroup::V1) => subject.row(Status::Limited, "version 1"),
        None => subject.row(Status::Unknown, "no cgroup file system is mounted"),
    }
}

fn others(facts: &Facts) -> Row {
    let subject = subject(
        "others",
        Some(
            "each adds its cost to every transition; programs on classic tracepoints keep each other from running",
        ),
        None,
    );
    let others = &facts.others;
    let on_event: Vec<&str> = others.certain.iter().chain(&others.ftrace).map(String::as_str).collect();
    let mut found = if on_event.is_empty() { "nobody".to_owned() } else { on_event.join(", ") };
    found += " on the same event";
    if !others.possible.is_empty() {
        found = found + "; on some tracepoint, the kernel does not say which: " + &others.possible.join(", ");
    }
    if others.incomplete {
        found += "; not all processes or tracefs could be read";
    }
    let status = match (on_event.is_empty() && others.possible.is_empty(), others.incomplete) {
        (false, _) => Status::Limited,
        (true, true) => Status::Unknown,
        (true, false) => Status::Ok,
    };
    subject.row(status, found)
}
