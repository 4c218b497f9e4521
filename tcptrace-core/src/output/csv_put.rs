//! Fields of a row, each after a comma.

use std::net::IpAddr;

use super::put;
use crate::model::{
    close::{Cause, Closing, Role},
    event::Device,
    owner::Owner,
    process::Process,
    transition::Transition,
};

/// A field that `put` appends.
pub(super) fn next(out: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
    out.push(b',');
    put(out);
}

/// A number, or nothing.
pub(super) fn next_number(out: &mut Vec<u8>, value: Option<impl itoa::Integer>) {
    next(out, |out| value.into_iter().for_each(|value| put::number(out, value)));
}

/// One of our own words, which need no quoting.
pub(super) fn next_word(out: &mut Vec<u8>, word: Option<&str>) {
    next(out, |out| word.iter().for_each(|word| out.extend_from_slice(word.as_bytes())));
}

/// A name from the kernel, or nothing.
pub(super) fn next_name(out: &mut Vec<u8>, value: Option<&[u8]>) {
    next(out, |out| value.iter().for_each(|value| name(out, value)));
}

/// Family, addresses and ports of the two ends, the local one first.
pub(super) fn next_addresses(
    out: &mut Vec<u8>,
    (laddr, lport): (IpAddr, u16),
    (raddr, rport): (IpAddr, u16),
) {
    next_number(out, Some(if laddr.is_ipv4() { 4 } else { 6 }));
    next(out, |out| put::address(out, laddr));
    next_number(out, Some(lport));
    next(out, |out| put::address(out, raddr));
    next_number(out, Some(rport));
}

/// Index and name of the network device that a socket is bound to, or nothing.
pub(super) fn next_device(out: &mut Vec<u8>, device: Option<&Device>) {
    next_number(out, device.map(|device| device.ifindex));
    next_name(out, device.and_then(|device| device.name.as_deref()).map(str::as_bytes));
}

/// A process that owns a socket, or nothing.
pub(super) fn next_owner(out: &mut Vec<u8>, owner: Option<&Owner>) {
    next_number(out, owner.map(|owner| owner.pid));
    next_name(out, owner.and_then(Owner::name));
    next_number(out, owner.map(|owner| owner.uid));
    next_word(out, owner.map(|owner| owner.provenance.name()));
}

/// Program, unit and container of a process, or nothing.
pub(super) fn next_process(out: &mut Vec<u8>, process: Option<&Process>) {
    next_name(out, process.and_then(|process| process.exe.as_deref()));
    next_name(out, process.and_then(|process| process.unit.as_deref()).map(str::as_bytes));
    let container = process.and_then(|process| process.container.as_ref());
    let container = container.map(|container| format!("{}:{}", container.runtime, container.id));
    next_name(out, container.as_deref().map(str::as_bytes));
}

/// The final figures of the end of a connection, or nothing.
pub(super) fn next_figures(out: &mut Vec<u8>, end: &Transition) {
    let metrics = end.event.metrics;
    next_number(out, metrics.map(|metrics| metrics.bytes_acked));
    next_number(out, metrics.map(|metrics| metrics.bytes_received));
    next_number(out, metrics.map(|metrics| metrics.srtt_us).filter(|srtt_us| *srtt_us != 0));
    next_number(out, end.retransmits());
}

/// Why a connection ended and what role its end here had, or nothing.
pub(super) fn next_closing(out: &mut Vec<u8>, closing: Option<&Closing>) {
    next_word(out, closing.and_then(|closing| closing.cause).map(Cause::name));
    next_name(out, closing.and_then(|closing| closing.reset_reason.as_deref()).map(str::as_bytes));
    next_word(out, closing.and_then(|closing| closing.role).map(Role::name));
    next_number(out, closing.and_then(|closing| closing.life_ns).map(|ns| ns / 1_000));
}

/// The one kind of field that may hold anything: quoted where RFC 4180, 2 asks for it.
fn name(out: &mut Vec<u8>, name: &[u8]) {
    let start = out.len();
    put::name(out, name);
    if out[start..].iter().any(|byte| matches!(byte, b',' | b'"')) {
        let text = String::from_utf8_lossy(&out[start..]).replace('"', "\"\"");
        out.truncate(start);
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    }
}
