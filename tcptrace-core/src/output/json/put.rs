//! Parts of a JSON object, appended without serde.

use std::{io, net::IpAddr};

use crate::{
    model::{
        text::{Escaped, plain},
        transition::Transition,
    },
    output::{put, schema::SCHEMA},
};

/// A key that is not an object's first. In its place it is a copy of known length, of which a line has thirty.
#[inline(always)]
pub(in crate::output) fn key(out: &mut Vec<u8>, key: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
}

#[inline(always)]
pub(in crate::output) fn number(out: &mut Vec<u8>, name: &str, value: impl itoa::Integer) {
    key(out, name);
    put::number(out, value);
}

#[inline(always)]
pub(in crate::output) fn optional(out: &mut Vec<u8>, name: &str, value: Option<impl itoa::Integer>) {
    key(out, name);
    number_or_null(out, value);
}

pub(in crate::output) fn number_or_null(out: &mut Vec<u8>, value: Option<impl itoa::Integer>) {
    match value {
        None => out.extend_from_slice(b"null"),
        Some(value) => put::number(out, value),
    }
}

/// What needs no escaping.
pub(in crate::output) fn quoted(out: &mut Vec<u8>, value: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    value(out);
    out.push(b'"');
}

/// A name from the kernel: escaped as everywhere, and then as JSON wants it.
pub(in crate::output) fn name(out: &mut Vec<u8>, name: &str, value: &[u8]) -> io::Result<()> {
    key(out, name);
    match plain(value) {
        Some(plain) if !plain.contains('"') => {
            quoted(out, |out| out.extend_from_slice(plain.as_bytes()));
            Ok(())
        }
        _ => serde_json::to_writer(out, &Escaped(value).to_string()).map_err(Into::into),
    }
}

/// A name that is null when not known.
pub(in crate::output) fn optional_name(out: &mut Vec<u8>, key: &str, value: Option<&[u8]>) -> io::Result<()> {
    match value {
        None => null(out, key),
        Some(value) => name(out, key, value)?,
    }
    Ok(())
}

/// One of our own words, which need no escaping.
#[inline(always)]
pub(in crate::output) fn word(out: &mut Vec<u8>, name: &str, value: &str) {
    key(out, name);
    quoted(out, |out| out.extend_from_slice(value.as_bytes()));
}

/// The same, null when not known.
pub(in crate::output) fn optional_word(out: &mut Vec<u8>, name: &str, value: Option<&str>) {
    match value {
        None => null(out, name),
        Some(value) => word(out, name, value),
    }
}

/// The head of an object: what it is, and when that was. `time` is RFC 3339.
#[inline(always)]
pub(in crate::output) fn head(out: &mut Vec<u8>, kind: &str, time: &str, ktime_ns: u64) {
    out.extend_from_slice(b"{\"schema\":");
    put::number(out, SCHEMA);
    word(out, "type", kind);
    word(out, "time", time);
    number(out, "ktime_ns", ktime_ns);
}

/// The final figures of the end of a connection; null where the kernel's layout did not give them.
pub(in crate::output) fn figures(out: &mut Vec<u8>, end: &Transition) {
    let metrics = end.event.metrics;
    optional(out, "bytes_acked", metrics.map(|metrics| metrics.bytes_acked));
    optional(out, "bytes_received", metrics.map(|metrics| metrics.bytes_received));
    optional(out, "srtt_us", metrics.map(|metrics| metrics.srtt_us).filter(|srtt| *srtt != 0));
    optional(out, "retransmits", end.retransmits());
}

/// Family, addresses and ports of the two ends, the local one first.
pub(in crate::output) fn addresses(
    out: &mut Vec<u8>,
    (laddr, lport): (IpAddr, u16),
    (raddr, rport): (IpAddr, u16),
) {
    number(out, "family", if laddr.is_ipv4() { 4 } else { 6 });
    key(out, "laddr");
    quoted(out, |out| put::address(out, laddr));
    number(out, "lport", lport);
    key(out, "raddr");
    quoted(out, |out| put::address(out, raddr));
    number(out, "rport", rport);
}

fn null(out: &mut Vec<u8>, name: &str) {
    key(out, name);
    out.extend_from_slice(b"null");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_strings_whatever_they_hold() {
        for (comm, expected) in [
            (&b"nginx\0"[..], r#","comm":"nginx""#),
            (b"say \"hi\"", r#","comm":"say \"hi\"""#),
            (b"\x1b[31m\\", r#","comm":"\\x1b[31m\\\\""#),
        ] {
            let mut out = Vec::new();
            name(&mut out, "comm", comm).expect("memory");
            assert_eq!(String::from_utf8(out).expect("text"), expected);
        }
    }
}
