//! The hooks on resets, which refine how a connection ended. Optional: a trace goes on without them.

use std::collections::HashMap;

use aya::{
    Ebpf,
    programs::{BtfTracePoint, Program},
};
use tcptrace_common::{Config, Known};

use super::{Btf, load::attach_btf};

/// Programs in the kernel object, and the trace events of group `tcp` that they are for.
const PROGRAMS: [(&str, &str); 2] =
    [("send_reset", "tcp_send_reset"), ("receive_reset", "tcp_receive_reset")];

/// Names of the reasons for which the kernel sends resets (`enum sk_rst_reason`), by value; empty before Linux 6.10.
pub type ResetReasons = HashMap<u32, String>;

/// What the running kernel's type information says of them.
pub(super) fn known(btf: &Btf<'_>, config: &mut Config) {
    // Socket, packet, reason.
    if btf.trace_arguments("tcp_send_reset").is_ok_and(|arguments| arguments == Some(3)) {
        config.known |= Known::RESET_REASON;
    }
}

/// The names of the reasons, without what all of them begin with.
pub(super) fn reasons(btf: &Btf<'_>) -> ResetReasons {
    let enumerators = btf.enumerators("sk_rst_reason").unwrap_or_default();
    let name = |name: String| name.trim_start_matches("SK_RST_REASON_").to_ascii_lowercase();
    enumerators.into_iter().map(|(value, text)| (value, name(text))).collect()
}

/// Attaches both; `false` when the kernel refuses one, and then neither is.
pub(super) fn attach(ebpf: &mut Ebpf, types: &aya::Btf) -> bool {
    let attached = PROGRAMS.iter().all(|(name, event)| {
        let program: Option<&mut BtfTracePoint> =
            ebpf.program_mut(name).and_then(|program| program.try_into().ok());
        program.is_some_and(|program| attach_btf(program, event, types).is_ok())
    });
    if !attached {
        detach(ebpf);
    }
    attached
}

/// Detaches them: nothing new is sent.
pub(super) fn detach(ebpf: &mut Ebpf) {
    for (name, _) in PROGRAMS {
        if let Some(Program::BtfTracePoint(program)) = ebpf.program_mut(name) {
            // Only one that is not loaded cannot be unloaded.
            let _ = program.unload();
        }
    }
}
