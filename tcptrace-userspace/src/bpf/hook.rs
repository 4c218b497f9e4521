//! The ways to hook `sock:inet_sock_set_state`.

use std::fmt;

/// A program type on the hook, in order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hook {
    /// BTF-typed tracepoint, the better one: needs a kernel with BTF.
    #[value(name = "tp_btf")]
    TpBtf,
    /// Classic tracepoint: needs tracefs; the kernel skips it while another such program runs on the CPU.
    #[value(name = "tracepoint")]
    Tracepoint,
}

impl Hook {
    /// Name of the program in the kernel object.
    pub(super) const fn program(self) -> &'static str {
        match self {
            Self::TpBtf => "set_state_btf",
            Self::Tracepoint => "set_state_tp",
        }
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TpBtf => "tp_btf",
            Self::Tracepoint => "tracepoint",
        })
    }
}
