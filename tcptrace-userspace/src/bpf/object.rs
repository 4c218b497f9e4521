//! Parts of the kernel object, and the kernel's reason when it refuses one.

use std::sync::{LazyLock, Mutex, PoisonError};

use aya::{
    Ebpf, EbpfError, EbpfLoader,
    maps::MapError,
    programs::{BtfTracePoint, Program, ProgramError},
};
use nix::errno::Errno;
use tcptrace_common::Config;
use tcptrace_core::model::hooks::Hook;

use super::{Error, privileges, release, relocate::settled, ring};

/// The loader of aya reads all of the kernel's type information when it is made. That takes longer than everything else
/// that happens before a trace, and nothing in the object needs it. So there is one loader for the whole process, and
/// it forgets the type information.
static LOADER: LazyLock<Mutex<EbpfLoader<'static>>> = LazyLock::new(|| {
    let mut loader = EbpfLoader::new();
    loader.btf(None);
    Mutex::new(loader)
});

/// Sizes of the maps that depend on the options.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    /// Bytes of the ring.
    pub(super) events: u32,
    /// Bytes of the ring of the diagnostics; `None` for the size in the object.
    pub(super) log: Option<u32>,
    /// Sockets whose time of entry is kept.
    pub(super) since: u32,
    /// Sockets, and listening ports, of the process that the filter names.
    pub(super) owned: u32,
    /// Processes that have been seen.
    pub(super) newcomers: u32,
}

impl Sizes {
    /// The smallest sizes.
    pub(super) fn least() -> Self {
        Self { events: ring::ring_size(0), log: Some(ring::ring_size(0)), since: 1, owned: 1, newcomers: 1 }
    }
}

/// Makes the loader. Called before other large allocations come and go, so that the allocator gives back the loader's
/// memory: it keeps more memory, the larger the blocks that it has seen.
pub(super) fn prepare() {
    LazyLock::force(&LOADER);
}

/// Creates the maps of the object with these settings. Its programs can be loaded after that.
///
/// # Errors
/// A map cannot be made, or the object does not fit.
pub(super) fn load_object(config: &Config, log_level: u8, sizes: Sizes) -> Result<Ebpf, Error> {
    let object = settled(super::OBJECT, config, log_level)?;
    let mut loader = LOADER.lock().unwrap_or_else(PoisonError::into_inner);
    let Sizes { events, log, since, owned, newcomers } = sizes;
    for (map, entries) in [
        ("EVENTS", events),
        ("SINCE", since),
        ("OWNED", owned),
        ("OWNED_PORTS", owned),
        ("NEWCOMERS", newcomers),
        ("ARRIVALS", ring::ring_size(0)),
    ] {
        loader.map_max_entries(map, entries);
    }
    loader.map_max_entries("AYA_LOGS", log.unwrap_or(LOG_BYTES));
    loader.load(&object).map_err(load_error)
}

/// Bytes of the ring of the diagnostics, as aya-log has it.
const LOG_BYTES: u32 = 128 << 10;

/// Distinguishes the causes of a failed map. Everything else is the object's fault.
fn load_error(error: EbpfError) -> Error {
    let EbpfError::MapError(MapError::CreateError { name, io_error }) = error else {
        return object(error);
    };
    let map = name.clone();
    let release = release::running();
    match io_error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EINVAL) if release::version(&release).is_some_and(|version| version < (5, 8)) => {
            Error::NoRingBuffer(release)
        }
        Some(Errno::EPERM) => Error::Memlock { map, limit: privileges::memlock_limit() },
        _ => Error::Map { map, source: io_error },
    }
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

/// Unloads a program, which also detaches it.
pub(super) fn unload(ebpf: &mut Ebpf, name: &str) {
    // Only a program that is not loaded cannot be unloaded.
    let _ = match ebpf.program_mut(name) {
        Some(Program::SockOps(program)) => program.unload(),
        Some(Program::BtfTracePoint(program)) => program.unload(),
        Some(Program::TracePoint(program)) => program.unload(),
        _ => Ok(()),
    };
}

/// The last line of the verifier's log, which names the cause, instead of the whole log.
pub(super) fn refusal(error: &ProgramError) -> String {
    match error {
        ProgramError::LoadError { io_error, verifier_log } => {
            let log = verifier_log.to_string();
            // Statistics are the end of the log; the complaint is the line before them.
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

/// Name of the object's program for a hook.
pub(super) const fn of_hook(hook: Hook) -> &'static str {
    match hook {
        Hook::TpBtf => "set_state_btf",
        Hook::Tracepoint => "set_state_tp",
    }
}
