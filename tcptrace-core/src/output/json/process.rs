//! What a process is, as JSON: the same wherever an owner is told.

use std::io;

use super::put::{key, name, optional_name, quoted};
use crate::model::process::Process;

/// Appends program, whether its file is gone, unit and container; each null when not known, or when there is none.
pub(in crate::output) fn put(out: &mut Vec<u8>, process: Option<&Process>) -> io::Result<()> {
    optional_name(out, "exe", process.and_then(|process| process.exe.as_deref()))?;
    key(out, "exe_deleted");
    out.extend_from_slice(match process.filter(|process| process.exe.is_some()) {
        None => b"null",
        Some(process) if process.exe_deleted => b"true",
        Some(_) => b"false",
    });
    optional_name(out, "unit", process.and_then(|process| process.unit.as_deref()).map(str::as_bytes))?;
    key(out, "container");
    container(process, out)
}

fn container(process: Option<&Process>, out: &mut Vec<u8>) -> io::Result<()> {
    let Some(container) = process.and_then(|process| process.container.as_ref()) else {
        out.extend_from_slice(b"null");
        return Ok(());
    };
    out.extend_from_slice(b"{\"runtime\":");
    quoted(out, |out| out.extend_from_slice(container.runtime.to_string().as_bytes()));
    name(out, "id", container.id.as_bytes())?;
    optional_name(out, "pod_uid", container.pod_uid.as_deref().map(str::as_bytes))?;
    out.push(b'}');
    Ok(())
}
