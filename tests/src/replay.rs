//! Repeats of a test's steps if the first run cannot be compared. Each repeat is reported, so that a test which needs
//! many is noticed.

use std::{
    env, fmt,
    fs::OpenOptions,
    io::{self, Write as _},
};

/// The file that takes a line for each repeat: `NAME: REASON`. `cargo xtask test` counts them.
const REPEATS: &str = "TCPTRACE_REPEATS";

/// The most runs of a test's steps.
const PLAYS: usize = 3;

/// The reason why a run cannot be compared. Each is due to the machine: a wrong report of tcptrace fails at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The kernel did not run tcptrace's programs for an event, see [`crate::fixture::Fixture::check_all_seen`].
    Hidden,
    /// Two programs read the clock for one event, and a hypervisor may have stopped the processor between them.
    ClocksDisagree(String),
    /// The steps need two processors at the same moment, and did not have the intended effect.
    NotMade(&'static str),
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hidden => f.write_str("the kernel has hidden something from tcptrace"),
            Self::ClocksDisagree(how) => write!(f, "two readings of the clock disagree: {how}"),
            Self::NotMade(what) => write!(f, "there was {what}"),
        }
    }
}

/// Repeats the steps of the test `name` until a run can be compared, and returns the result of that run.
///
/// # Panics
/// When there is an obstacle in each of several runs.
pub fn play_until_comparable<T>(name: &str, play: impl FnMut() -> Result<T, Obstacle>) -> T {
    repeat(play, |obstacle| report(name, obstacle))
}

fn repeat<T>(mut play: impl FnMut() -> Result<T, Obstacle>, mut on_repeat: impl FnMut(&Obstacle)) -> T {
    for _ in 1..PLAYS {
        match play() {
            Ok(played) => return played,
            Err(obstacle) => on_repeat(&obstacle),
        }
    }
    play().unwrap_or_else(|obstacle| panic!("{obstacle}; the last of {PLAYS} plays"))
}

/// Appends a line to the file that the environment names, or writes it to standard error, past the test harness.
fn report(name: &str, obstacle: &Obstacle) {
    let line = format!("{name}: {obstacle}\n");
    match env::var_os(REPEATS) {
        Some(file) => {
            // A single write, so that lines of concurrent tests do not mix.
            let opened = OpenOptions::new().create(true).append(true).open(&file);
            let written = opened.and_then(|mut file| file.write_all(line.as_bytes()));
            written.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        }
        None => drop(io::stderr().write_all(format!("PLAYED AGAIN: {line}").as_bytes())),
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    /// The result of a run that meets obstacles at first, and the numbers of runs and reports.
    fn play(obstacles: usize) -> (Option<usize>, usize, usize) {
        let (mut plays, mut reports) = (0, 0);
        let result = catch_unwind(AssertUnwindSafe(|| {
            let play = || {
                plays += 1;
                if plays > obstacles { Ok(plays) } else { Err(Obstacle::Hidden) }
            };
            repeat(play, |_| reports += 1)
        }));
        (result.ok(), plays, reports)
    }

    #[test]
    fn a_play_is_repeated_a_few_times_and_then_fails() {
        assert_eq!(play(0), (Some(1), 1, 0));
        assert_eq!(play(PLAYS - 1), (Some(PLAYS), PLAYS, PLAYS - 1));
        assert_eq!(play(PLAYS), (None, PLAYS, PLAYS - 1));
    }
}
