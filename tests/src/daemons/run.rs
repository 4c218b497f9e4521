//! Runs situations, several at a time since they mostly wait, and prints the result of each.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use super::{Kind, Situation, find, interrupt::is_interrupted, place::Place};
use crate::machine;

/// The durations of watches, and the number of concurrent situations.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Seconds of normal work.
    pub honest: u64,
    /// Seconds of a fault.
    pub fault: u64,
    /// The number of concurrent situations.
    pub at_once: usize,
}

/// Runs these situations and prints a line for each; returns how many passed, failed, and could not run here.
pub fn all(situations: &[Situation], plan: Plan) -> (usize, usize, usize) {
    let next = AtomicUsize::new(0);
    let counts = Mutex::new((0, 0, 0));
    thread::scope(|scope| {
        for _ in 0..plan.at_once {
            scope.spawn(|| {
                while let Some(situation) = situations.get(next.fetch_add(1, Ordering::Relaxed))
                    && !is_interrupted()
                {
                    let begun = Instant::now();
                    let outcome = one(situation, plan);
                    let mut counts = counts.lock().expect("nobody panics with it");
                    let name = situation.name;
                    let seconds = begun.elapsed().as_secs();
                    match outcome {
                        Outcome::Passed(compared) => {
                            counts.0 += 1;
                            println!("PASS {name} ({seconds} s): {compared}");
                        }
                        Outcome::Failed(why) => {
                            counts.1 += 1;
                            println!(
                                "FAIL {name} ({seconds} s): {}",
                                why.trim_end().replace('\n', "\n     ")
                            );
                        }
                        Outcome::Skipped(why) => {
                            counts.2 += 1;
                            println!("SKIP {name}: {why}");
                        }
                    }
                }
            });
        }
    });
    counts.into_inner().expect("nobody panics with it")
}

enum Outcome {
    Passed(String),
    Failed(String),
    Skipped(String),
}

fn one(situation: &Situation, plan: Plan) -> Outcome {
    if let Some(missing) = situation.needs.iter().find(|program| find(program).is_none()) {
        let why = format!("{missing} is not installed");
        return if machine::requires_all() { Outcome::Failed(why) } else { Outcome::Skipped(why) };
    }
    let seconds = match situation.kind {
        Kind::Honest => plan.honest,
        Kind::Fault => plan.fault,
    };
    let play = || {
        let place = Place::new(seconds);
        (situation.play)(&place)
    };
    match catch_unwind(AssertUnwindSafe(play)) {
        Ok(Ok(compared)) => Outcome::Passed(compared),
        Ok(Err(why)) => Outcome::Failed(why),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Outcome::Failed(format!("it could not be made: {}", text.unwrap_or("a panic")))
        }
    }
}
