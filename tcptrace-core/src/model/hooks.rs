//! The ways to hook the kernel's events.

use std::{collections::HashMap, fmt};

/// A program type on the hook, in order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Hook {
    /// BTF-typed tracepoint, the better one: needs a kernel with BTF.
    TpBtf,
    /// Classic tracepoint: needs tracefs; the kernel skips it while another such program runs on the CPU.
    Tracepoint,
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TpBtf => "tp_btf",
            Self::Tracepoint => "tracepoint",
        })
    }
}

/// The attached programs that see half-open connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HalfOpenHooks {
    /// Each SYN that is queued, by sock_ops; otherwise the reason why not.
    pub syns: Result<Syns, String>,
    /// Each SYN-ACK that is sent again, by `tcp:tcp_retransmit_synack`; otherwise the reason why not.
    pub retransmits: Result<(), String>,
}

/// The coverage of the program on sock_ops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Syns {
    /// The program is attached to the root of all cgroups, not only of those that this process can see.
    pub whole_host: bool,
    /// The program reports the network namespace.
    pub netns: bool,
}

/// Names of the reasons for which the kernel sends resets (`enum sk_rst_reason`), by value; empty before Linux 6.10.
pub type ResetReasons = HashMap<u32, String>;
