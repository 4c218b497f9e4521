//! What the kernel says of its own structures. It is trusted, but a distribution's may be odd, and what is accepted becomes
//! offsets in a program.

use tcptrace::bpf::{Btf, parse_format, parse_signals, sock_layout};
use tcptrace_common::{Config, RecordLayout};

/// Type information begins so.
const BTF: u16 = 0xeb9f;

/// `data` is type information, or else the text of a tracepoint's `format`.
///
/// # Panics
/// What is made of it does not hold together.
pub fn layouts(data: &[u8]) {
    if data.starts_with(&BTF.to_ne_bytes()) {
        types(data);
    } else if let Ok(text) = std::str::from_utf8(data) {
        format(text);
    }
}

fn types(data: &[u8]) {
    let Ok(btf) = Btf::parse(data) else { return };
    let mut config = Config::EMPTY;
    if sock_layout(&btf, &mut config).is_ok() {
        let sock = config.fields.sock;
        for (offset, width) in
            [(sock.family, 2), (sock.num, 2), (sock.v6_rcv_saddr, 16), (sock.err, 4), (sock.cookie, 8)]
        {
            assert!(offset + width <= 1 << 15, "an instruction reaches it: {config:?}");
        }
    }
    for path in ["sock.sk_lock.owned", "a.b.c", "a", ""] {
        if let Ok(field) = btf.field(path) {
            assert!(field.offset.checked_add(field.size).is_some(), "{path}: {field:?}");
        }
    }
    let _ = btf.trace_arguments("tcp_send_reset");
    let _ = btf.enumerators("sk_rst_reason");
}

fn format(text: &str) {
    if let Ok(layout) = parse_format(text) {
        assert!(layout.size <= RecordLayout::MAX_SIZE);
        let RecordLayout { skaddr, protocol, saddr_v6, daddr_v6, .. } = layout;
        for (offset, width) in [(skaddr, 8), (protocol, layout.protocol_size), (saddr_v6, 16), (daddr_v6, 16)]
        {
            assert!(offset >= 8 && offset + width <= layout.size, "{layout:?}");
        }
    }
    let signals = parse_signals(|_| text.to_owned());
    for offset in [signals.send_reset, signals.reset_reason, signals.error, signals.error_ends.saddr_v6] {
        assert!(offset == 0 || (8..RecordLayout::MAX_SIZE).contains(&offset), "{signals:?}");
    }
}
