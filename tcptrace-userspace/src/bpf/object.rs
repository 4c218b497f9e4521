//! Parts of the kernel object, and the kernel's words when it refuses one.

use aya::{
    Ebpf, Endianness,
    programs::{BtfTracePoint, Program, ProgramError},
};

use super::Error;

/// The kernel's type information as aya reads it.
pub(super) fn kernel_types(vmlinux: &[u8]) -> Result<aya::Btf, Error> {
    aya::Btf::parse(vmlinux, Endianness::default()).map_err(|error| Error::Types(error.to_string()))
}

pub(super) fn map(ebpf: &mut Ebpf, name: &str) -> Result<aya::maps::Map, Error> {
    ebpf.take_map(name).ok_or_else(|| Error::Object(format!("no map {name}")))
}

pub(super) fn program<'a, P>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut P, Error>
where
    &'a mut P: TryFrom<&'a mut Program, Error = ProgramError>,
{
    ebpf.program_mut(name)
        .ok_or_else(|| Error::Object(format!("no program {name}")))?
        .try_into()
        .map_err(object)
}

pub(super) fn object(error: impl std::fmt::Display) -> Error {
    Error::Object(error.to_string())
}

/// Loads a program for the trace event `event` and starts it.
pub(super) fn attach_btf(
    program: &mut BtfTracePoint,
    event: &str,
    types: &aya::Btf,
) -> Result<(), ProgramError> {
    program.load(event, types)?;
    program.attach()?;
    Ok(())
}

/// Unloads a program, and detaches it with that.
pub(super) fn unload(ebpf: &mut Ebpf, name: &str) {
    // Only one that is not loaded cannot be unloaded.
    let _ = match ebpf.program_mut(name) {
        Some(Program::SockOps(program)) => program.unload(),
        Some(Program::BtfTracePoint(program)) => program.unload(),
        Some(Program::TracePoint(program)) => program.unload(),
        _ => Ok(()),
    };
}

/// The verifier's last words, which name the cause, instead of its whole log.
pub(super) fn refusal(error: &ProgramError) -> String {
    match error {
        ProgramError::LoadError { io_error, verifier_log } => {
            let log = verifier_log.to_string();
            // Statistics close the log; the complaint is the line before them.
            let statistics = ["processed ", "stack depth ", "verification time "];
            let last = log
                .lines()
                .rev()
                .find(|line| !line.is_empty() && !statistics.iter().any(|word| line.starts_with(word)));
            match last {
                Some(last) => format!("{io_error}: {last}"),
                None => io_error.to_string(),
            }
        }
        other => std::iter::successors(Some(other as &dyn std::error::Error), |error| error.source())
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(": "),
    }
}
