//! The kernel object: the toolchains that build it, the build itself, and the record of its origin.

mod compile;
mod inventory;
mod linker;
mod lock;
mod provenance;
mod sources;
mod strip;
mod toolchain;
mod version;

pub(crate) use compile::build;
pub(crate) use inventory::Inventory;
pub(crate) use linker::Linker;
pub(crate) use provenance::{Builder, Provenance};
pub(crate) use sources::{Sources, sha256};
pub(crate) use toolchain::{Kind, Toolchain};

use std::path::PathBuf;

use crate::workspace;

/// The package of the kernel side, and its program.
pub(crate) const PACKAGE: &str = "tcptrace-ebpf";

/// The target of little-endian BPF. Big-endian hosts are not supported.
pub(crate) const TARGET: &str = "bpfel-unknown-none";

/// The object that the tracer embeds.
pub(crate) fn object_path() -> PathBuf {
    workspace::root().join("tcptrace-userspace/bpf/tcptrace.bpf.o")
}

/// The record beside the object: its sources, and the tools that built it.
pub(crate) fn provenance_path() -> PathBuf {
    object_path().with_extension("provenance.toml")
}
