//! What a program on the hook knows of a transition beyond the record: it depends on the kernel and on the hook.

use tcptrace_common::{Config, Known};

use super::Hook;

/// Something that a program may have to do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// The socket's cookie by the kernel's helper, which makes one where there is none.
    CookieHelper,
    /// The socket's cookie by its field, which is 0 until someone asks for it.
    CookieField,
    /// The socket's network namespace.
    Netns,
    /// Whether a process holds the socket's lock.
    Lock,
    /// The socket's error.
    Error,
    /// Bytes, round-trip time and retransmits at CLOSE.
    Metrics,
    /// The current task, its flags among it.
    Task,
    /// Why a connection ends: the socket's flags, shutdown, probes and retransmissions at CLOSE.
    Evidence,
    /// Resets, sent and received.
    Resets,
    /// The kernel's reason for a reset that is sent.
    ResetReason,
    /// Records go onto the ring together.
    Bundles,
}

impl Feature {
    /// Its bit in [`Config::known`].
    const fn known(self) -> u32 {
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
            Self::Resets | Self::Bundles => 0,
        }
    }
}

/// The features of one program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    known: u32,
    bundles: bool,
    resets: bool,
}

impl Features {
    /// Those that a program on `hook` makes use of with these settings.
    pub fn of(hook: Hook, config: &Config) -> Self {
        // The classic tracepoint's program may not follow typed pointers, and the task's fields are only read so.
        let unused = if hook == Hook::Tracepoint { Known::TASK | Known::COOKIE_HELPER } else { 0 };
        Self { known: config.known & !unused, bundles: config.bundle != 0, resets: false }
    }

    /// The same, and resets.
    #[must_use]
    pub const fn with_resets(self) -> Self {
        Self { resets: true, ..self }
    }

    /// Whether it has this one.
    pub const fn has(self, feature: Feature) -> bool {
        match feature {
            Feature::Bundles => self.bundles,
            Feature::Resets => self.resets,
            other => self.known & other.known() != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_classic_tracepoint_reads_no_task() {
        let config = Config { known: Known::TASK | Known::NETNS, bundle: 1, ..Config::EMPTY };
        let features = |hook| Features::of(hook, &config);
        assert!(features(Hook::TpBtf).has(Feature::Task) && !features(Hook::Tracepoint).has(Feature::Task));
        for hook in [Hook::TpBtf, Hook::Tracepoint] {
            assert!(features(hook).has(Feature::Netns) && features(hook).has(Feature::Bundles));
            assert!(!features(hook).has(Feature::Lock) && !features(hook).has(Feature::CookieHelper));
        }
    }
}
