//! Fields of a row, each after a comma.

use super::put;
use crate::process::Process;

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

/// Program, unit and container of a process, or nothing.
pub(super) fn next_process(out: &mut Vec<u8>, process: Option<&Process>) {
    next_name(out, process.and_then(|process| process.exe.as_deref()));
    next_name(out, process.and_then(|process| process.unit.as_deref()).map(str::as_bytes));
    let container = process.and_then(|process| process.container.as_ref());
    let container = container.map(|container| format!("{}:{}", container.runtime, container.id));
    next_name(out, container.as_deref().map(str::as_bytes));
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
