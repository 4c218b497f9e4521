//! Distinguishes the time since an event from the answer for an event that never happened.
//!
//! `tcp_get_info()` returns "now minus the time of the event" by the kernel's clock of jiffies. For an event that never
//! happened this time is 0, so the answer is that clock itself. The clock begins five minutes before 0
//! (`INITIAL_JIFFIES`). It is cut to 32 bits, first as ticks, then as milliseconds.

/// `INITIAL_JIFFIES`, in seconds before 0.
const HEAD_START_S: u64 = 300;

/// Ticks a second that kernels are built with (`CONFIG_HZ`). User space does not know which. For all rates that divide
/// 1000, the clock in milliseconds is the same.
const RATES: [u64; 6] = [1_000, 300, 128, 256, 512, 1_024];

/// How far the clock of jiffies may be from `CLOCK_MONOTONIC`, in milliseconds: ticks are lost while a kernel boots,
/// and sockets are read some time after the clock. A socket that really has been silent since jiffies were 0 counts as
/// unknown.
const SLACK_MS: u64 = 5_000;

/// Whether an answer, in milliseconds, is that of an event that never happened. `now_ns` is `CLOCK_MONOTONIC` when the
/// kernel gave the answer, 0 where that is unknown.
pub(super) fn is_never(answer_ms: u32, now_ns: u64) -> bool {
    let now_ms = now_ns / 1_000_000;
    if now_ms == 0 {
        return false;
    }
    // No event is older than the kernel itself.
    if now_ms + 2 * SLACK_MS < u64::from(answer_ms) {
        return true;
    }
    // Checks a little before and after as well, since the clock may wrap in between.
    let about = [now_ms.saturating_sub(SLACK_MS), now_ms, now_ms + SLACK_MS];
    RATES.iter().any(|rate| about.iter().any(|ms| distance(answer_ms, jiffies_ms(*ms, *rate)) <= SLACK_MS))
}

/// The clock of jiffies as `jiffies_to_msecs()` shows its lower half.
#[expect(clippy::cast_possible_truncation, reason = "the kernel cuts it, too")]
fn jiffies_ms(uptime_ms: u64, rate: u64) -> u32 {
    let ticks = (uptime_ms * rate / 1_000).wrapping_sub(HEAD_START_S * rate);
    (u64::from(ticks as u32) * 1_000 / rate) as u32
}

/// The distance on a clock that wraps.
fn distance(a: u32, b: u32) -> u64 {
    a.wrapping_sub(b).min(b.wrapping_sub(a)).into()
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "as the kernel cuts it")]
mod tests {
    use super::*;

    const DAY_MS: u64 = 86_400_000;

    fn never(answer_ms: u64, now_ms: u64) -> bool {
        is_never(answer_ms as u32, now_ms * 1_000_000)
    }

    /// The kernel's answer, by its own arithmetic: ticks since `INITIAL_JIFFIES`, 32 bits of them, in milliseconds.
    fn kernel(now_ms: u64, lag_ms: u64, hz: u64) -> u64 {
        let initial = ((300 * hz) as u32).wrapping_neg();
        let jiffies = initial.wrapping_add(((now_ms - lag_ms) * hz / 1_000) as u32);
        // `HZ_TO_MSEC_MUL32` rounds up where the rate does not divide 1000.
        let ms = if 1_000 % hz == 0 {
            u64::from(jiffies) * (1_000 / hz)
        } else {
            (u64::from(jiffies) * 1_000).div_ceil(hz)
        };
        ms & u64::from(u32::MAX)
    }

    #[test]
    fn the_clock_itself_is_never() {
        let uptimes = [
            1_000,
            299_999,
            300_000,
            301_000,
            1_090_466,
            40 * DAY_MS,
            // The milliseconds wrap after 49.7 days, ticks of 300 Hz after 165.7, those of 250 Hz after 198.8.
            (1 << 32) + 299_000,
            (1 << 32) + 310_000,
            165 * DAY_MS,
            170 * DAY_MS,
            400 * DAY_MS,
        ];
        for now_ms in uptimes {
            for hz in [100, 250, 300, 1_000] {
                for lag_ms in [0, 254, 900] {
                    let answer = kernel(now_ms, lag_ms, hz);
                    assert!(never(answer, now_ms), "{hz} Hz, {now_ms} ms up, {lag_ms} behind: {answer}");
                }
            }
        }
    }

    #[test]
    fn ages_of_real_events_are_not() {
        for now_ms in [20_000, 200_000, 1_090_466, 40 * DAY_MS, 170 * DAY_MS] {
            for age_ms in [0, 4, 10_000, now_ms / 10, now_ms / 2] {
                let real = age_ms.min(u64::from(u32::MAX));
                assert!(!never(real, now_ms), "{real} ms ago, {now_ms} ms up");
            }
        }
        // Events a minute before the end of the head start, and a minute after.
        assert!(!never(1_000_000 - 240_000, 1_000_000) && !never(1_000_000 - 360_000, 1_000_000));
        assert!(!is_never(u32::MAX, 0), "without a clock nothing is told");
    }
}
