//! Detectors on made-up looks: what looks like a fault and is none, and evidence that says no more than was measured.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::looks::{SECOND, findings, look, socket, who};
use tcptrace::{
    detect::{Finding, Level, Sample, Seen},
    state::State,
};

/// The findings of a kind.
fn of_kind(id: &str, looks: impl IntoIterator<Item = Sample>) -> Vec<Finding> {
    findings(looks).into_iter().filter(|finding| finding.id == id).collect()
}

fn evidence<'a>(finding: &'a Finding, name: &str) -> &'a str {
    let one = finding.evidence.iter().find(|evidence| evidence.name == name);
    one.map_or_else(|| panic!("no {name} in {finding:#?}"), |evidence| evidence.value.as_str())
}

fn for_seconds(mut seen: Seen, seconds: u64) -> Seen {
    seen.socket.age_at_least_ns = Some(seconds * SECOND);
    seen
}

/// Of a hung server with several workers: none of them has what was never accepted.
#[test]
fn what_waits_to_be_accepted_is_no_leak() {
    let waiting = |inode: Option<u64>| {
        let one = |number| {
            let mut seen = for_seconds(socket(State::CLOSE_WAIT, number, 812), 30);
            (seen.socket.inode, seen.owners) = (inode, (0..3).map(|worker| who(812 + worker)).collect());
            seen
        };
        look(1_000, (0..100).map(one).collect())
    };
    assert_eq!(of_kind("close-wait-leak", [waiting(Some(7))]).len(), 3);
    assert_eq!(of_kind("close-wait-leak", [waiting(None)]), []);
}

#[test]
fn a_leak_tells_what_there_was_at_the_first_look_of_all() {
    let leaked = |at_s: u64, count: u16| {
        let one = |number| for_seconds(socket(State::CLOSE_WAIT, number, 812), 20);
        look(1_000 + at_s, (0..count).map(one).collect())
    };
    let first = |looks: Vec<Sample>| {
        let found = of_kind("close-wait-leak", looks).remove(0);
        (evidence(&found, "at the first look").to_owned(), found.confidence.level)
    };
    let again = vec![leaked(0, 10), leaked(1, 0), leaked(2, 10)];
    assert_eq!(first(again), ("10".to_owned(), Level::Medium), "it does not grow");
    assert_eq!(first(vec![leaked(0, 0), leaked(1, 10)]), ("0".to_owned(), Level::High));
}
