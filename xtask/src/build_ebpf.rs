//! `cargo xtask build-ebpf`: rebuild the kernel object that the tracer embeds, and record where it comes from.

use std::fs;

use anyhow::{Context, Result};

use crate::{
    ebpf::{self, Builder, Kind, Linker, Provenance, Sources, Toolchain},
    workspace,
};

/// Rebuild the kernel object that is checked in. Installs what is missing where rustup and cargo can.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Toolchain to build by; without it rustup's where rustup is, else Debian's.
    #[arg(long, value_enum)]
    toolchain: Option<Kind>,
}

/// # Errors
/// Something is missing and cannot be installed from here, or the build fails.
pub(crate) fn main(args: &Args) -> Result<()> {
    let toolchain = Toolchain::find(args.toolchain)?;
    let linker = Linker::find()?;
    let builder = Builder::new(&toolchain, &linker);
    eprintln!("building by {}", builder.shown());
    let sources = Sources::read(workspace::root())?;
    let object = ebpf::build(&toolchain, &linker, &workspace::target()?.join("ebpf"))?;
    let path = ebpf::object_path();
    fs::write(&path, &object).with_context(|| path.display().to_string())?;
    let provenance = Provenance { object: ebpf::sha256(&object), builder, sources };
    provenance.write(&ebpf::provenance_path())?;
    println!("{}: {} bytes", path.display(), object.len());
    println!("{}", ebpf::provenance_path().display());
    Ok(())
}
