//! Degraded hosts, and processes with few privileges: the tracer in namespaces that hide a part of the host.

use std::process::Command;

use crate::machine::tcptrace;

/// Hides the kernel's type information. It needs a mount namespace of its own.
pub const NO_BTF: &str = "mount -t tmpfs none /sys/kernel/btf";
/// Truncates the kernel's type information.
pub const CUT_BTF: &str = "exec 9< /sys/kernel/btf/vmlinux; mount -t tmpfs none /sys/kernel/btf && \
                           head -c 100000 <&9 > /sys/kernel/btf/vmlinux; exec 9<&-";
/// Hides tracefs.
pub const NO_TRACEFS: &str = "umount -l /sys/kernel/tracing /sys/kernel/debug 2>/dev/null; \
                          mount -t tmpfs none /sys/kernel/tracing";
/// Mounts tracefs if the host has not mounted it.
pub const TRACEFS: &str =
    "test -e /sys/kernel/tracing/events || mount -t tracefs tracefs /sys/kernel/tracing";
/// Drops all privileges except the two that tracing needs.
pub const CAPABILITIES: &str = "setpriv --inh-caps=-all --bounding-set=-all,+bpf,+perfmon";

/// The event as RHEL 8 describes it.
pub const RHEL_8: &str = include_str!("../../tcptrace-userspace/tests/formats/rhel-8.format");
/// The event as RHEL 9 describes it.
pub const RHEL_9: &str = include_str!("../../tcptrace-userspace/tests/formats/rhel-9.format");

/// Makes tracefs describe the event by this text. The event itself stays this kernel's, so the output of a tracer is
/// meaningless.
pub fn described(text: &str) -> String {
    let event = "/sys/kernel/tracing/events/sock/inet_sock_set_state";
    format!(
        "{{ {TRACEFS}; }} && id=$(cat {event}/id) && \
         mount -t tmpfs none /sys/kernel/tracing && mkdir -p {event} && echo $id > {event}/id && \
         cat > {event}/format <<'END'\n{text}\nEND\n"
    )
}

/// The tracer, after `preparation` in a mount namespace, under `wrapper`.
pub fn under(preparation: &str, wrapper: &str) -> Command {
    let mut command = prepared(preparation, wrapper);
    command.arg(tcptrace());
    command
}

/// As [`under`], for a program that the caller adds with its arguments.
pub fn prepared(preparation: &str, wrapper: &str) -> Command {
    let mut command = Command::new("unshare");
    let script = format!("{{ {preparation}\n}} || exit 99; exec {wrapper} \"$0\" \"$@\"");
    command.args(["--mount", "sh", "-c", &script]);
    command
}
