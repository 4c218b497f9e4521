//! Features of a program on the hook beyond the record: they depend on the kernel and on the hook.

use tcptrace_common::{Config, Known};
use tcptrace_core::model::hooks::Hook;

/// A feature that a program may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// The socket's cookie by the kernel's helper, which makes one where there is none.
    CookieHelper,
    /// The socket's cookie by its field, which is 0 until the cookie is requested.
    CookieField,
    /// The socket's network namespace.
    Netns,
    /// Whether a process holds the socket's lock.
    Lock,
    /// The socket's error.
    Error,
    /// Bytes, round-trip time and retransmits at CLOSE.
    Metrics,
    /// The current task, with its flags.
    Task,
    /// Evidence why a connection ends: the socket's flags, shutdown, probes and retransmissions at CLOSE.
    Evidence,
    /// Resets, sent and received.
    Resets,
    /// The kernel's reason for a reset that is sent.
    ResetReason,
    /// Retransmitted segments, as signals.
    Retransmits,
    /// Errors that the kernel reports to programs, as signals.
    Errors,
    /// Records go onto the ring together.
    Batches,
}

impl Feature {
    /// Its bit in [`Config::known`].
    pub(super) const fn known(self) -> u32 {
        match self {
            Self::CookieHelper => Known::COOKIE_HELPER,
            Self::CookieField => Known::COOKIE_FIELD,
            Self::Netns => Known::NETNS,
            Self::Lock => Known::LOCK,
            Self::Error => Known::ERROR,
            Self::Metrics => Known::METRICS,
            Self::Task => Known::TASK,
            Self::Evidence => Known::EVIDENCE,
            Self::ResetReason => Known::RESET_REASON,
            Self::Resets | Self::Retransmits | Self::Errors | Self::Batches => 0,
        }
    }
}

/// The features of one program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    known: u32,
    /// The other features, a bit each.
    others: u32,
}

impl Features {
    /// The features that a program on `hook` uses with these settings.
    pub fn of(hook: Hook, config: &Config) -> Self {
        // The classic tracepoint's program may not follow typed pointers, which are the only way to the task's fields.
        let unused = if hook == Hook::Tracepoint { Known::TASK | Known::COOKIE_HELPER } else { 0 };
        let batches = if config.batch == 0 { &[][..] } else { &[Feature::Batches] };
        Self { known: config.known & !unused, others: 0 }.with(batches)
    }

    /// The same features, and these, which no setting stands for.
    #[must_use]
    pub fn with(self, others: &[Feature]) -> Self {
        Self { others: others.iter().fold(self.others, |bits, other| bits | 1 << *other as u32), ..self }
    }

    /// Whether it has this feature.
    pub const fn has(self, feature: Feature) -> bool {
        match feature.known() {
            0 => self.others & 1 << feature as u32 != 0,
            known => self.known & known != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_classic_tracepoint_reads_no_task() {
        let config = Config { known: Known::TASK | Known::NETNS, batch: 1, ..Config::EMPTY };
        let features = |hook| Features::of(hook, &config);
        assert!(features(Hook::TpBtf).has(Feature::Task) && !features(Hook::Tracepoint).has(Feature::Task));
        for hook in [Hook::TpBtf, Hook::Tracepoint] {
            assert!(features(hook).has(Feature::Netns) && features(hook).has(Feature::Batches));
            assert!(!features(hook).has(Feature::Lock) && !features(hook).has(Feature::CookieHelper));
        }
    }
}
