//! Offsets of the bits that show why a connection ended, and which process may have made a child. Each is optional by
//! itself.

use tcptrace_common::{Config, Known};

use super::{
    btf::{Bit, Btf},
    layout::REACH,
};

/// Sets the bits that the running kernel has. The fields of [`Known::EVIDENCE`] have been set before.
pub(super) fn layout(btf: &Btf<'_>, config: &mut Config) {
    let value = |name: &str, of: Vec<(u32, String)>| {
        of.into_iter().find(|(_, known)| known == name).map(|(value, _)| value)
    };
    if let Some(bit) = bit(btf, "tcp_sock.repair") {
        (config.fields.tcp.repair, config.masks.repair) = (bit.offset, bit.mask.into());
        config.known |= Known::REPAIR;
    }
    // Bit fields of `struct inet_sock`, and from Linux 6.6 on bits of its `inet_flags`, whose numbers are constants of an
    // enumeration without a name.
    let numbers = btf.enumerators_with("INET_FLAGS_TRANSPARENT").unwrap_or_default();
    let flags = btf.field("tcp_sock.inet_conn.icsk_inet.inet_flags").ok().filter(|flags| flags.size == 8);
    let inet = |name: &str| {
        let field = format!("tcp_sock.inet_conn.icsk_inet.{name}");
        let number = value(&format!("INET_FLAGS_{}", name.to_uppercase()), numbers.clone());
        let of_flags = flags.zip(number.filter(|number| *number < 64));
        bit(btf, &field)
            .or_else(|| of_flags.and_then(|(flags, number)| reached(Bit::of(flags.offset, number))))
    };
    if let Some(bit) = inet("defer_connect") {
        (config.fields.tcp.deferred, config.masks.deferred) = (bit.offset, bit.mask.into());
        config.known |= Known::DEFERRED;
    }
    if let Some(bit) = inet("transparent") {
        (config.fields.tcp.transparent, config.masks.transparent) = (bit.offset, bit.mask.into());
        config.known |= Known::TRANSPARENT;
    }
    let flags = btf.enumerators("sock_flags").unwrap_or_default();
    if let Some(number) = value("SOCK_RCU_FREE", flags).filter(|number| *number < 64) {
        config.masks.rcu_free = number;
        config.known |= Known::LISTENED;
    }
    let hooks = btf.enumerators("netns_bpf_attach_type").unwrap_or_default();
    if let Ok(programs) = btf.field("net.bpf.run_array")
        && let Some(hook) = value("NETNS_BPF_SK_LOOKUP", hooks)
        && config.known & Known::NETNS != 0
        && hook < programs.size / 8
        && programs.offset + 8 * (hook + 1) <= REACH
    {
        config.fields.sock.net_lookup = programs.offset + 8 * hook;
        config.known |= Known::LOOKUP;
    }
}

fn bit(btf: &Btf<'_>, path: &str) -> Option<Bit> {
    btf.bit(path).ok().and_then(reached)
}

/// The bit, where an instruction reaches it.
fn reached(bit: Bit) -> Option<Bit> {
    Some(bit).filter(|bit| bit.offset < REACH)
}
