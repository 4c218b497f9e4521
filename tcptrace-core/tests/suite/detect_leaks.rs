//! Who does not close, and who has yet to.

use tcptrace_core::{
    diagnosis::detect::{Sample, Seen},
    model::{finding::Severity, process::Condition, state::State},
};

use crate::common::{
    scans::{SECOND, scan, who},
    standing::{findings, half_closed, listener, other_end, pids},
};

fn leak(sockets: Vec<Seen>) -> Option<Severity> {
    let found = findings([scan(1_000, sockets)]);
    found.iter().find(|found| found.id == "close-wait-leak").map(|found| found.severity)
}

#[test]
fn what_owes_no_answer_is_over() {
    assert_eq!(leak(half_closed(30, [40, 40], 1)), Some(Severity::Warning), "nothing was asked");
    assert_eq!(leak(half_closed(30, [40, 35], 100)), Some(Severity::Warning), "it is answered");
    assert_eq!(leak(half_closed(15, [40, 35], 100)), Some(Severity::Info), "for a moment yet");
}

/// As a server with a time to think of half a minute, and a client's pool whose servers have closed.
#[test]
fn who_has_yet_to_answer_is_no_leak() {
    assert_eq!(leak(half_closed(30, [31, 40], 100)), None);
    assert_eq!(leak(half_closed(90, [91, 95], 100)), Some(Severity::Info), "it stays so, and grows not");
    let grows = |counts: [usize; 4]| {
        let at = |(number, count): (u64, usize)| {
            let some = half_closed(90, [91, 95], 100).into_iter().take(count).chain([listener()]);
            scan(1_000 + number, some.collect())
        };
        findings((0..).zip(counts).map(at))[0].severity
    };
    assert_eq!(grows([4, 5, 6, 7]), Severity::Warning);
    assert_eq!((grows([5, 8, 8, 8]), grows([5, 7, 6, 8])), (Severity::Info, Severity::Info));
}

/// It finds out that its servers have closed when it takes one of them again.
#[test]
fn the_pool_of_a_client_is_no_leak() {
    let pool: Vec<Seen> = half_closed(90, [95, 96], 100).into_iter().take(8).collect();
    let others = pool.iter().map(|seen| {
        let mut other = other_end(seen, State::FIN_WAIT2, 900);
        other.socket.inode = None;
        other
    });
    assert_eq!(leak(pool.iter().cloned().chain(others).collect()), Some(Severity::Info));
}

/// It sends, and its peer acknowledges.
#[test]
fn a_half_close_that_streams_is_no_leak() {
    let at = |at_s: u64| {
        let mut all = half_closed(20 + at_s, [90, 90], 1);
        for info in all.iter_mut().filter_map(|seen| seen.socket.info.as_mut()) {
            (info.bytes_acked, info.last_data_sent_ms) = (at_s, Some(100));
        }
        scan(1_000 + at_s, all)
    };
    assert_eq!(findings([at(0), at(5), at(10), at(15)]), []);
}

/// A client that is gone waits for no answer.
#[test]
fn a_peer_that_has_closed_for_good_waits_for_nothing() {
    let with = |inode| {
        let all = half_closed(30, [31, 40], 100);
        let others = all[..8].iter().map(|seen| {
            let mut other = other_end(seen, State::FIN_WAIT2, 900);
            other.socket.inode = inode;
            other
        });
        leak(all.iter().cloned().chain(others).collect())
    };
    assert_eq!((with(None), with(Some(3))), (Some(Severity::Warning), None));
}

#[test]
fn descriptors_say_how_bad_a_leak_is() {
    let with = |used, first: u16| {
        let condition = Condition { descriptors: Some(used), descriptor_limit: Some(100), stopped: None };
        let before =
            half_closed(20, [40, 40], 1).into_iter().take(first.into()).chain([listener()]).collect();
        let at = |at_s, sockets| Sample { processes: [(7, condition)].into(), ..scan(at_s, sockets) };
        findings([at(1_000, before), at(1_060, half_closed(30, [40, 40], 1))]).remove(0)
    };
    assert_eq!(with(50, 8).severity, Severity::Warning);
    assert_eq!(with(90, 8).severity, Severity::Warning, "a busy process: 82 are of something else");
    assert!(!with(90, 8).summary.contains("descriptors are open"), "{}", with(90, 8).summary);
    assert!(with(90, 4).summary.ends_with("; at this rate the last descriptor is open in 2 minutes"));
    let grows = with(50, 4);
    let rate = grows.evidence.iter().find(|evidence| evidence.name.starts_with("at this rate")).unwrap();
    assert_eq!(rate.value.to_string(), "12m30s", "50 left, 4 a minute");
}

/// Descriptors that are nearly used up are the leak's doing where a quarter of them is forgotten.
#[test]
fn a_leak_that_uses_up_the_descriptors_is_critical() {
    let with = |used| {
        let condition =
            Condition { descriptors: Some(used), descriptor_limit: Some(used + 1), stopped: None };
        let at =
            |at_s| Sample { processes: [(7, condition)].into(), ..scan(at_s, half_closed(30, [40, 40], 1)) };
        findings([at(1_000), at(1_060)]).remove(0)
    };
    assert_eq!(with(32).severity, Severity::Critical);
    assert!(with(32).summary.ends_with("32 of 33 descriptors are open"), "{}", with(32).summary);
    assert_eq!(with(33).severity, Severity::Warning);
}

/// The ends here rest on the leak there.
#[test]
fn a_leak_explains_the_other_ends() {
    let leaked = half_closed(70, [80, 80], 1);
    let waiting = leaked[..8].iter().map(|seen| {
        let mut other = other_end(seen, State::FIN_WAIT2, 900);
        (other.socket.age_at_least_ns, other.socket.info) = (Some(70 * SECOND), None);
        other
    });
    let found = findings([scan(1_000, leaked.iter().cloned().chain(waiting).collect())]);
    assert_eq!(found.iter().map(|found| found.id).collect::<Vec<_>>(), ["close-wait-leak"]);
    assert_eq!(found[0].consequences[0].id, "fin-wait2-stuck");
    assert!(found[0].consequences[0].summary.contains("on this host"), "{found:#?}");
}

/// Sockets that four processes have open are one leak.
#[test]
fn what_is_inherited_counts_once() {
    let mut all = half_closed(30, [40, 40], 1);
    all[..8].iter_mut().for_each(|seen| seen.owners = [who(5), who(7), who(8), who(9)].into());
    let found = findings([scan(1_000, all)]);
    assert_eq!((found.len(), found[0].subject.as_str(), pids(&found[0])), (1, "process 5", vec![5, 7, 8, 9]));
    assert!(found[0].next_steps.iter().any(|step| step.what.contains("FD_CLOEXEC")), "{found:#?}");
}
