//! Removes the parts that no loader reads: DWARF, and relocations of the type information.

use anyhow::{Context, Result};
use object::{
    build::elf::{Builder, SectionData},
    elf,
};

/// The object without DWARF. Code, maps, symbols and BTF stay.
///
/// # Errors
/// `object` is not an ELF object.
pub(crate) fn strip(object: &[u8]) -> Result<Vec<u8>> {
    let mut builder = Builder::read(object).context("the built object")?;
    for section in &mut builder.sections {
        let name = section.name.as_slice();
        section.delete = is_dead_weight(name);
    }
    // LLVM keeps all names in one table; the writer needs a separate one for the names of sections.
    let names = builder.sections.add();
    names.name = b".shstrtab".as_slice().into();
    names.sh_type = elf::SHT_STRTAB;
    names.sh_addralign = 1;
    names.data = SectionData::SectionString;
    builder.delete_orphans();
    let mut bytes = Vec::new();
    builder.write(&mut bytes).context("the stripped object")?;
    Ok(bytes)
}

/// Whether a loader needs nothing of this section. Offsets in `.BTF.ext` are right without their relocations, since the
/// object is linked as a whole.
fn is_dead_weight(section: &[u8]) -> bool {
    [b".debug_".as_slice(), b".rel.debug_", b".rel.BTF"].iter().any(|start| section.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_information_and_code_stay() {
        for gone in [".debug_info", ".rel.debug_line", ".rel.BTF", ".rel.BTF.ext"] {
            assert!(is_dead_weight(gone.as_bytes()), "{gone}");
        }
        for kept in [".BTF", ".BTF.ext", ".text", "maps", ".reltp_btf/inet_sock_set_state", "license"] {
            assert!(!is_dead_weight(kept.as_bytes()), "{kept}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        assert!(strip(b"no ELF").is_err());
    }
}
