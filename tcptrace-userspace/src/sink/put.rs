//! Appending what every line consists of. A storm prints millions of lines, so numbers, addresses and names go
//! straight into the bytes, past the formatting machinery.

use std::{
    io::Write as _,
    net::{IpAddr, Ipv4Addr},
};

use crate::{
    state::State,
    text::{Escaped, plain},
};

/// A number, in decimal.
pub(super) fn number(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// An address as its standard text.
pub(super) fn address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => dotted(out, v4),
        // Writing to memory does not fail.
        IpAddr::V6(v6) => drop(write!(out, "{v6}")),
    }
}

/// `192.0.2.1:80`, `[2001:db8::1]:80`; no port, as of one that is not chosen yet, is `*`, as in `ss`.
pub(super) fn endpoint(out: &mut Vec<u8>, address: IpAddr, port: u16) {
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

fn dotted(out: &mut Vec<u8>, address: Ipv4Addr) {
    for (i, octet) in address.octets().into_iter().enumerate() {
        if i > 0 {
            out.push(b'.');
        }
        number(out, octet);
    }
}

/// A state's name, or its number.
pub(super) fn state(out: &mut Vec<u8>, state: State) {
    match state.name() {
        Some(name) => out.extend_from_slice(name.as_bytes()),
        None => drop(write!(out, "{state}")),
    }
}

/// A name from the kernel, escaped.
pub(super) fn name(out: &mut Vec<u8>, name: &[u8]) {
    match plain(name) {
        Some(plain) => out.extend_from_slice(plain.as_bytes()),
        None => drop(write!(out, "{}", Escaped(name))),
    }
}

/// Fills a column that began at `start` up to its width.
pub(super) fn pad(out: &mut Vec<u8>, start: usize, width: usize) {
    let end = (start + width).max(out.len());
    out.resize(end, b' ');
}

/// Moves what began at `start` to the right end of a column.
pub(super) fn align_right(out: &mut Vec<u8>, start: usize, width: usize) {
    let len = out.len() - start;
    if len < width {
        pad(out, start, width);
        out[start..].rotate_right(width - len);
    }
}
