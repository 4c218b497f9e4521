//! Reasons why tracing is not possible, each as a sentence that ends with what to do.

use tcptrace_core::model::hooks::Hook;
use thiserror::Error;

use super::{BtfError, FormatError, LayoutError};

/// Reasons why the kernel side does not run.
#[derive(Debug, Error)]
pub enum Error {
    /// The process lacks capabilities.
    #[error(
        "loading eBPF programs needs root, or the capabilities CAP_BPF and CAP_PERFMON: run it with sudo (in a \
         container: --cap-add BPF --cap-add PERFMON, or --privileged)"
    )]
    NotPrivileged,
    /// The kernel has no ring buffer.
    #[error("this kernel ({0}) has no BPF ring buffer; tcptrace needs Linux 5.8 or newer")]
    NoRingBuffer(String),
    /// The locked-memory limit is too low (it counts before Linux 5.11).
    #[error(
        "the kernel refused {map}: the locked-memory limit of {limit} bytes is too low; run `ulimit -l \
         unlimited` first, set LimitMEMLOCK=infinity in the systemd unit, or use a smaller --buffer"
    )]
    Memlock {
        /// The map that could not be created.
        map: String,
        /// RLIMIT_MEMLOCK in bytes.
        limit: u64,
    },
    /// A map could not be created.
    #[error("the kernel cannot create the map {map} (a smaller --buffer may help)")]
    Map {
        /// Its name.
        map: String,
        /// The kernel's error.
        source: std::io::Error,
    },
    /// No BTF.
    #[error(
        "the kernel offers no type information (/sys/kernel/btf/vmlinux: {0}), which --hook tp_btf needs; leave \
         --hook out, or use a kernel with CONFIG_DEBUG_INFO_BTF=y"
    )]
    NoBtf(std::io::Error),
    /// BTF that does not parse.
    #[error("{0}; --hook tracepoint does without it")]
    Btf(#[from] BtfError),
    /// BTF that the loader cannot use.
    #[error("the kernel's type information cannot be used ({0}); --hook tracepoint does without it")]
    Types(String),
    /// Structures of this kernel are not understood.
    #[error("{0}; --hook tracepoint does without it")]
    Layout(#[from] LayoutError),
    /// No tracefs.
    #[error(
        "tracefs cannot be used ({0}), which --hook tracepoint needs; as root, try `mount -t tracefs tracefs \
         /sys/kernel/tracing`, or a kernel with CONFIG_FTRACE=y"
    )]
    NoTracefs(&'static str),
    /// A filter on the namespace where the namespace cannot be read.
    #[error(
        "--netns needs the kernel's type information (BTF), which says where a socket keeps its namespace; \
         filter by --local and --remote instead"
    )]
    NetnsUnknown,
    /// tracefs' description of the record is not understood.
    #[error("{0}; refusing to guess where its fields are")]
    Format(#[from] FormatError),
    /// The kernel refused the program.
    #[error("the kernel refused the {hook} program: {reason}{lockdown}")]
    Refused {
        /// The hook of the program.
        hook: Hook,
        /// The kernel's reason.
        reason: String,
        /// Added when lockdown is the likely cause.
        lockdown: &'static str,
    },
    /// Neither hook works.
    #[error("no way to trace on this kernel:\n  tp_btf: {tp_btf}\n  tracepoint: {tracepoint}")]
    NoHook {
        /// The error of `tp_btf`.
        tp_btf: Box<Error>,
        /// The error of the tracepoint.
        tracepoint: Box<Error>,
    },
    /// The object in this binary does not fit to this binary.
    #[error("the built-in kernel object cannot be used ({0}); rebuild it with `cargo xtask build-ebpf`")]
    Object(String),
    /// A counter could not be read.
    #[error("reading the kernel's counters: {0}")]
    Counters(String),
}
