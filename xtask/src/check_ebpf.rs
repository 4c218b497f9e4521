//! `cargo xtask check-ebpf`: check that the checked-in object and the sources agree.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::{
    ebpf::{self, Builder, Inventory, Linker, Provenance, Sources, Toolchain},
    workspace,
};

/// Check that the kernel object that is checked in was built from these sources.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Build it again too, and compare: the bytes where the toolchain is the recorded one, names otherwise.
    #[arg(long)]
    rebuild: bool,
}

/// # Errors
/// The object and the sources do not agree, or the rebuild fails.
pub(crate) fn main(args: &Args) -> Result<()> {
    let recorded = Provenance::read(&ebpf::provenance_path())?;
    let path = ebpf::object_path();
    let object = fs::read(&path).with_context(|| path.display().to_string())?;
    check_record(&recorded, &object, &Sources::read(workspace::root())?)?;
    println!("sources and object are the recorded ones");
    if args.rebuild { rebuild(&recorded, &object) } else { Ok(()) }
}

fn check_record(recorded: &Provenance, object: &[u8], sources: &Sources) -> Result<()> {
    let mut faults = sources.changes(&recorded.sources);
    if ebpf::sha256(object) != recorded.object {
        faults.push("tcptrace.bpf.o: not the recorded object".to_owned());
    }
    if !faults.is_empty() {
        bail!(
            "the kernel object does not belong to the sources; run `cargo xtask build-ebpf`\n  {}",
            faults.join("\n  ")
        );
    }
    Ok(())
}

fn rebuild(recorded: &Provenance, object: &[u8]) -> Result<()> {
    let toolchain = Toolchain::find(None)?;
    let linker = Linker::find()?;
    let builder = Builder::new(&toolchain, &linker);
    let target = workspace::target()?;
    fs::create_dir_all(&target).with_context(|| target.display().to_string())?;
    // A new folder, so that nothing of an earlier build is reused.
    let target = tempfile::Builder::new().prefix("ebpf-check-").tempdir_in(target)?;
    let rebuilt = ebpf::build(&toolchain, &linker, target.path())?;
    compare(recorded, &builder, object, &rebuilt)
}

fn compare(recorded: &Provenance, builder: &Builder, object: &[u8], rebuilt: &[u8]) -> Result<()> {
    if object == rebuilt {
        println!("rebuilt by {}: the same {} bytes", builder.shown(), rebuilt.len());
        return Ok(());
    }
    let inventory = Inventory::read(object)?;
    let differences = inventory.differences(&Inventory::read(rebuilt)?);
    let differences = differences.iter().fold(String::new(), |text, line| format!("{text}\n  {line}"));
    if *builder == recorded.builder {
        bail!(
            "the recorded toolchain makes other bytes than the object that is checked in ({} and {} bytes){differences}",
            rebuilt.len(),
            object.len()
        );
    }
    println!("the bytes cannot be compared, the toolchain differs:");
    println!("  recorded: {}", recorded.builder.shown());
    println!("  here:     {}", builder.shown());
    if !differences.is_empty() {
        bail!("the rebuilt object holds other things than the one that is checked in{differences}");
    }
    println!("rebuilt: names are the same ({})", inventory.counts());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked_in() -> (Provenance, Vec<u8>) {
        let provenance = Provenance::read(&ebpf::provenance_path()).expect("the record is checked in");
        (provenance, fs::read(ebpf::object_path()).expect("the object is checked in"))
    }

    #[test]
    fn a_changed_object_is_refused() {
        let (recorded, mut object) = checked_in();
        object[0] ^= 1;
        let error = check_record(&recorded, &object, &recorded.sources).expect_err("a fault").to_string();
        assert!(error.contains("not the recorded object") && error.contains("build-ebpf"), "{error}");
    }

    #[test]
    fn the_same_toolchain_must_make_the_same_bytes() {
        let (recorded, object) = checked_in();
        let mut rebuilt = object.clone();
        // The last byte of the ELF header's flags: the names stay the same, the bytes do not.
        rebuilt[0x33] ^= 1;
        assert!(compare(&recorded, &recorded.builder, &object, &object).is_ok());
        assert!(compare(&recorded, &recorded.builder, &object, &rebuilt).is_err());
        let mut other = recorded.builder.clone();
        other.bpf_linker.push('x');
        assert!(compare(&recorded, &other, &object, &rebuilt).is_ok());
    }
}
