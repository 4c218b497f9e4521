//! Hosts that lack something, and processes that may do little: the tracer in namespaces where it is hidden.

use std::process::Command;

use crate::machine::tcptrace;

/// Hides the kernel's type information; the namespace is the command's own.
pub const NO_BTF: &str = "mount -t tmpfs none /sys/kernel/btf";
/// Hides tracefs.
pub const NO_TRACEFS: &str = "umount -l /sys/kernel/tracing /sys/kernel/debug 2>/dev/null; \
                          mount -t tmpfs none /sys/kernel/tracing";
/// Gives up all privileges but the two that tracing needs.
pub const CAPABILITIES: &str = "setpriv --inh-caps=-all --bounding-set=-all,+bpf,+perfmon";

/// The tracer, after `preparation` in a mount namespace, under `wrapper`.
pub fn under(preparation: &str, wrapper: &str) -> Command {
    let mut command = Command::new("unshare");
    let script = format!("{{ {preparation}; }} || exit 99; exec {wrapper} \"$0\" \"$@\"");
    command.args(["--mount", "sh", "-c", &script]).arg(tcptrace());
    command
}
