//! Rows of other hosts than this one.

use std::path::Path;

use tcptrace_common::{Config, Known};
use tcptrace_core::model::hooks::Hook;

use super::{
    checks,
    facts::{Cgroup, Facts, Memlock, Tracefs},
    features,
    hooks::{self, Loaded, Tried},
    row::{Row, Status},
    verdict,
};
use crate::bpf::{Capabilities, Error, Feature, Features};

/// A host of which nothing could be read.
fn nothing() -> Facts {
    Facts::gather(Path::new("/nonexistent"))
}

fn capabilities(effective: u64) -> Option<Capabilities> {
    Capabilities::of(&format!("CapEff:\t{effective:016x}"))
}

/// `CAP_BPF` and `CAP_PERFMON`.
const TWO: u64 = 1 << 39 | 1 << 38;
const SYS_ADMIN: u64 = 1 << 21;
const SYS_RESOURCE: u64 = 1 << 24;

fn works(hook: Hook, known: u32, batch: u32, counts_misses: bool) -> Tried {
    let config = Config { known, batch, ..Config::EMPTY };
    let features = Features::of(hook, &config);
    let features = if known == u32::MAX { features.with(&[Feature::Resets]) } else { features };
    Tried { hook, outcome: Ok(Loaded { features, counts_misses, jited: Some(true) }) }
}

fn fails(hook: Hook, error: Error) -> Tried {
    Tried { hook, outcome: Err(error) }
}

fn status(rows: &[Row], name: &str) -> Status {
    rows.iter().find(|row| row.name == name).unwrap_or_else(|| panic!("no row {name}")).status
}

/// Before 5.10 there is no helper for the cookie, no way to run a program on a CPU, and no count of skipped runs.
#[test]
fn an_older_kernel() {
    let tried = [works(Hook::TpBtf, Known::COOKIE_FIELD | Known::NETNS | Known::LOCK, 0, false)];
    let rows = features::rows(&tried, &nothing());
    assert_eq!(status(&rows, "cookie"), Status::Limited);
    for name in ["netns", "lock"] {
        assert_eq!(status(&rows, name), Status::Ok, "{name}");
    }
    for name in
        ["error", "close_metrics", "close_evidence", "resets", "kernel_threads", "batches", "missed_runs"]
    {
        assert_eq!(status(&rows, name), Status::Missing, "{name}");
    }
}

#[test]
fn missed_runs_by_hook_and_release() {
    let facts = Facts { release: Some("6.1.0-38-amd64".to_owned()), ..nothing() };
    for (hook, reason) in [(Hook::Tracepoint, "Linux 6.7"), (Hook::TpBtf, "Linux 5.12")] {
        let rows = features::rows(&[works(hook, 0, 1, false)], &facts);
        let row = rows.iter().find(|row| row.name == "missed_runs").unwrap();
        assert!(row.status == Status::Missing && row.found.contains(reason), "{hook}: {}", row.found);
        let rows = features::rows(&[works(hook, 0, 1, true)], &facts);
        assert_eq!(status(&rows, "missed_runs"), Status::Ok, "{hook}");
    }
}

#[test]
fn nothing_that_could_not_be_read_is_called_ok() {
    for row in checks::rows(&nothing(), &[]) {
        let expected = if row.name == "btf" { Status::Missing } else { Status::Unknown };
        assert_eq!(row.status, expected, "{row:?}");
    }
}

/// Locked memory counts before Linux 5.11, for processes that may not lift the limit.
#[test]
fn locked_memory() {
    for (release, effective, limit, expected) in [
        ("5.10.0", TWO, Memlock::Limit(65_536), Status::Limited),
        ("5.10.0", TWO | SYS_RESOURCE, Memlock::Limit(65_536), Status::Ok),
        ("5.10.0", TWO, Memlock::Unlimited, Status::Ok),
        ("5.11.0", TWO, Memlock::Limit(65_536), Status::Ok),
    ] {
        let facts = Facts {
            release: Some(release.to_owned()),
            capabilities: capabilities(effective),
            memlock: Some(limit),
            ..nothing()
        };
        assert_eq!(
            status(&checks::rows(&facts, &[]), "memlock"),
            expected,
            "{release} {effective:x} {limit:?}"
        );
    }
}

#[test]
fn each_state_of_the_host() {
    let of = |name: &str, change: &dyn Fn(&mut Facts)| {
        let mut facts = nothing();
        change(&mut facts);
        status(&checks::rows(&facts, &[]), name)
    };
    assert_eq!(of("lockdown", &|f| f.lockdown = Some("confidentiality".into())), Status::Limited);
    assert_eq!(of("lockdown", &|f| f.lockdown = Some("integrity".into())), Status::Ok);
    assert_eq!(of("jit", &|f| f.jit = Some(0)), Status::Missing);
    assert_eq!(of("jit", &|f| f.jit = Some(1)), Status::Ok);
    assert_eq!(of("jit", &|f| f.jit_always_on = Some(true)), Status::Ok);
    assert_eq!(of("jit", &|f| f.jit_always_on = Some(false)), Status::Unknown);
    assert_eq!(of("cgroup", &|f| f.cgroup = Some(Cgroup::V2)), Status::Ok);
    assert_eq!(of("cgroup", &|f| f.cgroup = Some(Cgroup::V1)), Status::Limited);
    assert_eq!(of("capabilities", &|f| f.capabilities = capabilities(TWO)), Status::Ok);
    assert_eq!(of("capabilities", &|f| f.capabilities = capabilities(1 << 39)), Status::Missing);
    assert_eq!(of("unprivileged_bpf", &|f| f.unprivileged_bpf = Some(0)), Status::Ok);
    assert_eq!(of("others", &|f| f.others.incomplete = false), Status::Ok);
    assert_eq!(of("others", &|f| f.others.possible.push("x[1]".into())), Status::Limited);
    for (effective, expected) in [(TWO, Status::Missing), (TWO | SYS_ADMIN, Status::Limited)] {
        let tracefs = of("tracefs", &|f| {
            f.tracefs = Tracefs::NotMounted;
            f.capabilities = capabilities(effective);
        });
        assert_eq!(tracefs, expected, "{effective:x}");
    }
}

/// Confidentiality closes tracefs, mounted or not.
#[test]
fn lockdown_closes_tracefs() {
    for tracefs in [Tracefs::NotMounted, Tracefs::NoEvent("sys/kernel/tracing")] {
        let lockdown = Some("confidentiality".to_owned());
        let facts = Facts { tracefs, lockdown, capabilities: capabilities(SYS_ADMIN), ..nothing() };
        let rows = checks::rows(&facts, &[]);
        let row = rows.iter().find(|row| row.name == "tracefs").unwrap();
        assert!(row.status == Status::Missing && row.found.contains("lockdown"), "{row:?}");
    }
}

/// A loaded program counts more than a sysctl, and a kernel that refused a ring buffer more than no answer.
#[test]
fn what_a_program_told_counts() {
    let facts = Facts { jit: Some(0), ..nothing() };
    assert_eq!(status(&checks::rows(&facts, &[works(Hook::TpBtf, 0, 1, true)]), "jit"), Status::Ok);
    let tried = [fails(Hook::TpBtf, Error::NoRingBuffer("5.4.0".to_owned()))];
    assert_eq!(status(&checks::rows(&nothing(), &tried), "ring_buffer"), Status::Missing);
}

#[test]
fn verdicts() {
    let of = |tried: &[Tried]| {
        let mut rows = hooks::rows(tried);
        rows.extend(features::rows(tried, &nothing()));
        verdict(hooks::chosen(tried).map(|(hook, _)| hook), tried, &rows)
    };
    let all = u32::MAX;
    assert_eq!(
        of(&[works(Hook::TpBtf, all, 1, true), works(Hook::Tracepoint, all, 1, true)]),
        "Tracing is possible here, with all features (hook tp_btf)."
    );
    let second = [fails(Hook::TpBtf, Error::NetnsUnknown), works(Hook::Tracepoint, all, 0, true)];
    assert_eq!(
        of(&second),
        "Tracing is possible here (hook tracepoint), but not with everything; see tp_btf, cookie, \
         kernel_threads, batches."
    );
    let same = of(&[fails(Hook::TpBtf, Error::NotPrivileged), fails(Hook::Tracepoint, Error::NotPrivileged)]);
    assert_eq!(same.matches("run it with sudo").count(), 1, "{same}");
    let two = of(&[
        fails(Hook::TpBtf, Error::Types("odd\u{1b}".to_owned())),
        fails(Hook::Tracepoint, Error::NoTracefs("no")),
    ]);
    assert!(two.contains("odd\\x1b") && two.contains("mount -t tracefs"), "{two}");
}
