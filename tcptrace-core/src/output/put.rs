//! Appends the parts of lines. A storm prints millions of lines, so numbers, addresses and names go straight into the bytes,
//! past the formatting machinery.

use std::{
    io::Write as _,
    net::{IpAddr, Ipv4Addr},
};

use anstyle::Style as Ansi;

use crate::model::{
    flow::Endpoint,
    state::State,
    text::{Escaped, Span, plain},
};

/// Appends a number, in decimal.
pub(super) fn number(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends an address as its standard text.
pub(super) fn address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => dotted(out, v4),
        // Writing to memory does not fail.
        IpAddr::V6(v6) => drop(write!(out, "{v6}")),
    }
}

/// Appends `192.0.2.1:80`, `[2001:db8::1]:80`. A missing port, such as one that is not chosen yet, is `*`, as in `ss`.
pub(super) fn endpoint(out: &mut Vec<u8>, Endpoint { address, port }: Endpoint) {
    if address.is_ipv6() {
        out.push(b'[');
    }
    self::address(out, address);
    if address.is_ipv6() {
        out.push(b']');
    }
    out.push(b':');
    match port {
        0 => out.push(b'*'),
        port => number(out, port),
    }
}

/// Appends an end with the network device that a socket is bound to, as `ss` does: `[fe80::1]%eth0:80`. A device that no
/// longer has a name is shown by its number.
pub(super) fn endpoint_on(out: &mut Vec<u8>, end: Endpoint, device: Option<(u32, Option<&str>)>) {
    let Some((ifindex, name)) = device else { return endpoint(out, end) };
    let start = out.len();
    endpoint(out, end);
    let colon = out[start..].iter().rposition(|byte| *byte == b':').map_or(out.len(), |place| start + place);
    let tail = out.split_off(colon);
    out.push(b'%');
    match name {
        Some(name) => self::name(out, name.as_bytes()),
        None => number(out, ifindex),
    }
    out.extend(tail);
}

fn dotted(out: &mut Vec<u8>, address: Ipv4Addr) {
    let (mut text, mut len) = ([0; 16], 0);
    for octet in address.octets() {
        let (digits, digits_len) = OCTETS[usize::from(octet)];
        // Copies all four bytes, since a copy of known length is faster. The next octet overwrites the excess.
        text[len..len + 4].copy_from_slice(&digits);
        len += digits_len;
    }
    let end = out.len() + len - 1;
    out.extend_from_slice(&text);
    out.truncate(end);
}

/// The octets in decimal, each with a dot, and the length of that text.
const OCTETS: [([u8; 4], usize); 256] = {
    let mut octets = [(*b"0.\0\0", 2); 256];
    let mut octet: u8 = 1;
    loop {
        let (hundreds, tens, ones) = (b'0' + octet / 100, b'0' + octet / 10 % 10, b'0' + octet % 10);
        octets[octet as usize] = match octet {
            0..10 => ([ones, b'.', 0, 0], 2),
            10..100 => ([tens, ones, b'.', 0], 3),
            100.. => ([hundreds, tens, ones, b'.'], 4),
        };
        if octet == u8::MAX {
            break octets;
        }
        octet += 1;
    }
};

/// Appends a span of time, as [`Span`] shows it.
pub(super) fn span(out: &mut Vec<u8>, ns: u64) {
    let (whole, rest, unit) = Span(ns).parts();
    number(out, whole);
    if let Some((between, part)) = rest {
        out.extend_from_slice(between.as_bytes());
        if part < 10 {
            out.push(b'0');
        }
        number(out, part);
    }
    out.extend_from_slice(unit.as_bytes());
}

/// Begins a colour; writes nothing without one.
pub(super) fn colour(out: &mut Vec<u8>, colour: Ansi) {
    if !colour.is_plain() {
        // Writing to memory does not fail.
        drop(write!(out, "{colour}"));
    }
}

/// Ends a colour.
pub(super) fn end_colour(out: &mut Vec<u8>, colour: Ansi) {
    if !colour.is_plain() {
        drop(write!(out, "{colour:#}"));
    }
}

/// Appends a state's name, or its number.
pub(super) fn state(out: &mut Vec<u8>, state: State) {
    match state.name() {
        Some(name) => out.extend_from_slice(name.as_bytes()),
        None => drop(write!(out, "{state}")),
    }
}

/// Appends a name from the kernel, escaped.
pub(super) fn name(out: &mut Vec<u8>, name: &[u8]) {
    match plain(name) {
        Some(plain) => out.extend_from_slice(plain.as_bytes()),
        None => drop(write!(out, "{}", Escaped(name))),
    }
}

/// Fills a column that began at `start` up to its width.
pub(super) fn pad(out: &mut Vec<u8>, start: usize, width: usize) {
    let end = start + width;
    if out.len() < end {
        out.resize(end, b' ');
    }
}

/// Moves the text that began at `start` to the right end of a column.
pub(super) fn align_right(out: &mut Vec<u8>, start: usize, width: usize) {
    let len = out.len() - start;
    if len < width {
        pad(out, start, width);
        let end = start + width - len;
        out.copy_within(start..start + len, end);
        out[start..end].fill(b' ');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_on_devices() {
        let told = |address: &str, device| {
            let mut out = b"x".to_vec();
            endpoint_on(&mut out, Endpoint::new(address.parse().expect("an address"), 80), device);
            String::from_utf8(out).expect("text")
        };
        assert_eq!(told("fe80::1", Some((2, Some("eth0")))), "x[fe80::1]%eth0:80");
        assert_eq!(told("192.0.2.1", Some((2, Some("red\n")))), "x192.0.2.1%red\\x0a:80");
        assert_eq!(told("fe80::1", Some((2, None))), "x[fe80::1]%2:80");
        assert_eq!(told("fe80::1", None), "x[fe80::1]:80");
    }

    #[test]
    fn addresses_of_any_length() {
        for text in ["0.0.0.0", "1.22.133.99", "255.255.255.255", "10.100.109.190", "2001:db8::1"] {
            let mut out = b"x".to_vec();
            address(&mut out, text.parse().expect("an address"));
            assert_eq!(out, format!("x{text}").into_bytes());
        }
    }
}
