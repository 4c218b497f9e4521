//! The false-alarm lab and the fault lab: situations that are made for real, all at once, each in a separate network
//! namespace, and one `tcptrace diagnose` of the whole host with the shipped thresholds.
//!
//! A trace with findings runs beside it. A fault that must last for a time before it is reported, such as a minute,
//! must not be reported earlier.
//!
//! A harmless look-alike must have no finding at warning or above. A fault must have one finding, with the culprit
//! first. `tcptrace_tests::labs` has the situations. `TCPTRACE_LABS=WORD` makes only those with the word in their name.

mod early;
mod judge;
mod watch;

use std::sync::OnceLock;

use judge::Verdict;
use tcptrace_tests::{
    labs::{Expected, Situation},
    machine::is_root,
};

/// The verdicts of one watch, which both tests use.
static VERDICTS: OnceLock<Vec<Verdict>> = OnceLock::new();

fn is_honest(situation: &Situation) -> bool {
    matches!(situation.expected, Expected::Nothing)
}

fn lab(name: &str, least: usize, is_of_lab: fn(&Situation) -> bool) {
    if !is_root(name) {
        return;
    }
    let of_lab = || {
        let all = VERDICTS.get_or_init(watch::watch).iter();
        all.filter(|verdict| is_of_lab(verdict.situation))
    };
    for verdict in of_lab() {
        println!("{verdict}");
    }
    let failed: Vec<String> = of_lab().filter(|verdict| verdict.failed()).map(ToString::to_string).collect();
    assert!(failed.is_empty(), "{name}: {} of {}:\n{}", failed.len(), of_lab().count(), failed.join("\n"));
    let made = of_lab().filter(|verdict| verdict.was_made()).count();
    assert!(watch::only().is_some() || made >= least, "{name}: only {made} situations could be made");
}

#[test]
fn nothing_is_reported_of_honest_look_alikes() {
    lab("nothing_is_reported_of_honest_look_alikes", 40, is_honest);
}

#[test]
fn every_fault_is_reported_once_with_its_culprit() {
    lab("every_fault_is_reported_once_with_its_culprit", 20, |situation| !is_honest(situation));
    // There are no verdicts without root.
    let Some(verdicts) = VERDICTS.get() else { return };
    let timed = verdicts.iter().filter(|verdict| verdict.was_timed()).count();
    assert!(watch::only().is_some() || timed >= 10, "only {timed} faults were timed");
}
