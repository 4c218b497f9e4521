//! Playing a test's steps again, where the first play cannot be compared.

/// How often something is played at most.
const PLAYS: usize = 3;

/// Why a play cannot be compared. Each is the machine's doing: what tcptrace reports wrongly fails at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The kernel did not run tcptrace's programs for something, see [`crate::world::World::check_all_seen`].
    Hidden,
    /// Two programs read the clock for one event, and a hypervisor may have stopped the processor between them.
    ClocksDisagree(String),
}

impl std::fmt::Display for Obstacle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Hidden => f.write_str("the kernel has hidden something from tcptrace"),
            Self::ClocksDisagree(how) => write!(f, "two readings of the clock disagree: {how}"),
        }
    }
}

/// Plays the steps of the test `name` until they can be compared, and returns what the play returns.
///
/// # Panics
/// When there is an obstacle in each of several plays.
pub fn play_until_comparable<T>(name: &str, mut play: impl FnMut() -> Result<T, Obstacle>) -> T {
    for _ in 1..PLAYS {
        match play() {
            Ok(played) => return played,
            Err(obstacle) => println!("played again: {name}: {obstacle}"),
        }
    }
    play().unwrap_or_else(|obstacle| panic!("{obstacle}; the last of {PLAYS} plays"))
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    /// The result of a play that meets obstacles at first, and how often it was played.
    fn play(obstacles: usize) -> (Option<usize>, usize) {
        let mut plays = 0;
        let result = catch_unwind(AssertUnwindSafe(|| {
            play_until_comparable("a play", || {
                plays += 1;
                if plays > obstacles { Ok(plays) } else { Err(Obstacle::Hidden) }
            })
        }));
        (result.ok(), plays)
    }

    #[test]
    fn a_play_is_repeated_a_few_times_and_then_fails() {
        assert_eq!(play(0), (Some(1), 1));
        assert_eq!(play(PLAYS - 1), (Some(PLAYS), PLAYS));
        assert_eq!(play(PLAYS), (None, PLAYS));
    }
}
