//! Kernel releases. They decide only what the kernel itself cannot be asked.

use tcptrace_core::model::hooks::Hook;

/// Major and minor number of a release such as `5.4.0-1-amd64`.
pub fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>().ok());
    numbers.next().flatten().zip(numbers.next().flatten())
}

/// Whether a kernel of this release counts the runs of a program on `hook` that it skips. For the classic tracepoint
/// the number exists before Linux 6.7 as well, but stays 0.
pub fn keeps_missed_runs(hook: Hook, release: &str) -> bool {
    hook == Hook::TpBtf || version(release).is_none_or(|release| release >= (6, 7))
}

/// Whether a kernel of this release runs a tracing program inside itself, when an interrupt comes to the same event.
/// `__bpf_trace_run()` refuses that from Linux 6.1 on.
pub(super) fn nests(release: &str) -> bool {
    version(release).is_none_or(|release| release < (6, 1))
}

/// The release of the running kernel.
pub(super) fn running() -> String {
    nix::sys::utsname::uname()
        .map_or_else(|_| "unknown".to_owned(), |uname| uname.release().to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_runs() {
        assert!(keeps_missed_runs(Hook::TpBtf, "6.1.0-38-amd64"));
        assert!(!keeps_missed_runs(Hook::Tracepoint, "6.1.0-38-amd64"));
        assert!(keeps_missed_runs(Hook::Tracepoint, "6.12.117+deb13-cloud-amd64"));
        assert!(keeps_missed_runs(Hook::Tracepoint, "odd"), "it says what the kernel says");
    }

    #[test]
    fn programs_in_themselves() {
        assert!(nests("5.10.0-35-cloud-amd64") && nests("6.0.0") && nests("odd"));
        assert!(!nests("6.1.0-38-amd64") && !nests("6.18.44"));
    }

    #[test]
    fn releases() {
        assert_eq!(version("5.4.0-150-generic"), Some((5, 4)));
        assert_eq!(version("6.1.0-38-amd64"), Some((6, 1)));
        assert_eq!(version("4.18.0-553.el8_10.x86_64"), Some((4, 18)));
        for odd in ["odd", "", "6", "6.x"] {
            assert_eq!(version(odd), None, "{odd}");
        }
    }
}
