//! Writes the running kernel's field offsets into the loads of the kernel object, in place of their markers.

use std::ops::Range;

use object::{Object as _, ObjectSection as _, SectionKind};
use tcptrace_common::Fields;

use super::Error;

/// Bytes of an instruction, `struct bpf_insn`: opcode, registers, offset (two bytes), immediate (four).
const INSTRUCTION: usize = 8;
const OFFSET: Range<usize> = 2..4;
/// `BPF_LDX | BPF_MEM`, whatever the width.
const LOAD: u8 = 0x61;
const WIDTH: u8 = 0x18;

/// The object with `fields` in its loads.
///
/// # Errors
/// [`Error::Object`] when it is no ELF file, or an offset does not fit an instruction (32 KiB).
pub(super) fn relocate(object: &[u8], fields: &Fields) -> Result<Vec<u8>, Error> {
    let broken = |error: object::Error| Error::Object(error.to_string());
    let mut relocated = object.to_vec();
    for section in object::File::parse(object).map_err(broken)?.sections() {
        let Some((start, size)) = section.file_range().filter(|_| section.kind() == SectionKind::Text) else {
            continue;
        };
        let code = usize::try_from(start).ok().zip(usize::try_from(start + size).ok());
        let code = code.and_then(|(start, end)| relocated.get_mut(start..end));
        let code = code.ok_or_else(|| Error::Object("a section outside of the file".to_owned()))?;
        for instruction in code.chunks_exact_mut(INSTRUCTION) {
            load(instruction, fields)?;
        }
    }
    Ok(relocated)
}

/// Resolves the marker of one instruction, if it has one.
fn load(instruction: &mut [u8], fields: &Fields) -> Result<(), Error> {
    if instruction[0] & !WIDTH != LOAD {
        return Ok(());
    }
    let marker = u16::from_le_bytes([instruction[OFFSET.start], instruction[OFFSET.start + 1]]);
    let Some(offset) = fields.resolve(u32::from(marker)) else { return Ok(()) };
    let offset = i16::try_from(offset)
        .map_err(|_| Error::Object(format!("a field lies {offset} bytes inside its structure")))?;
    instruction[OFFSET].copy_from_slice(&offset.to_le_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpf::OBJECT;

    /// `r0 = *(u32 *)(r1 + offset)`.
    fn u32_load(offset: u32) -> [u8; INSTRUCTION] {
        let offset = u16::try_from(offset).expect("sixteen bits").to_le_bytes();
        [0x61, 0x10, offset[0], offset[1], 0, 0, 0, 0]
    }

    #[test]
    fn a_marker_becomes_its_offset() {
        let mut fields = Fields::NONE;
        fields.task.comm = 3_000;
        let mut instruction = u32_load(Fields::MARKERS.task.comm + 8);
        load(&mut instruction, &fields).expect("it fits");
        assert_eq!(instruction, u32_load(3_008));
    }

    #[test]
    fn other_instructions_stay() {
        let store = [0x63, 0x10, 0x00, 0x40, 0, 0, 0, 0];
        for instruction in [u32_load(2_048), store] {
            let mut after = instruction;
            load(&mut after, &Fields::NONE).expect("nothing to do");
            assert_eq!(after, instruction);
        }
    }

    #[test]
    fn an_offset_beyond_an_instruction_is_refused() {
        let mut fields = Fields::NONE;
        fields.sock.family = 1 << 15;
        assert!(load(&mut u32_load(Fields::MARKERS.sock.family), &fields).is_err());
    }

    #[test]
    fn the_object_has_a_load_for_every_field() {
        let relocated = relocate(OBJECT, &Fields::NONE).expect("our own object");
        let changed = OBJECT.chunks(INSTRUCTION).zip(relocated.chunks(INSTRUCTION)).filter(|(a, b)| a != b);
        let found: std::collections::BTreeSet<u32> = changed
            .map(|(before, _)| {
                u32::from(u16::from_le_bytes([before[OFFSET.start], before[OFFSET.start + 1]]))
            })
            .map(|marker| (marker - Fields::FIRST_MARKER) / Fields::STEP)
            .collect();
        assert_eq!(found.len(), Fields::COUNT);
        assert_eq!(
            relocate(&relocated, &Fields::MARKERS).expect("relocated"),
            relocated,
            "no marker is left"
        );
    }

    #[test]
    fn what_is_no_object_is_refused() {
        assert!(relocate(b"text", &Fields::NONE).is_err());
    }
}
