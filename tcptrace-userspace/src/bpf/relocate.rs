//! Writes the settings into the kernel object, and the running kernel's field offsets into its loads, in place of their
//! markers.

use std::ops::Range;

use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SectionKind};
use tcptrace_common::{Config, Fields};

use super::{Error, boundary::config_bytes};

/// Bytes of an instruction, `struct bpf_insn`: opcode, registers, offset (two bytes), immediate (four).
const INSTRUCTION: usize = 8;
const OFFSET: Range<usize> = 2..4;
/// `BPF_LDX | BPF_MEM`, whatever the width.
const LOAD: u8 = 0x61;
const WIDTH: u8 = 0x18;

/// The object with these settings, and the level of its diagnostics.
///
/// # Errors
/// [`Error::Object`] when it is no such object.
pub(super) fn settled(object: &[u8], config: &Config, log_level: u8) -> Result<Vec<u8>, Error> {
    let mut settled = relocate(object, &config.fields)?;
    for (symbol, value) in [("CONFIG", config_bytes(config)), (aya_log::LEVEL, &[log_level])] {
        let place = place(object, symbol, value.len());
        let place = place.and_then(|place| settled.get_mut(place));
        let place = place.ok_or_else(|| Error::Object(format!("no {symbol} of {} bytes", value.len())))?;
        place.copy_from_slice(value);
    }
    Ok(settled)
}

/// The range in the file with the value of a variable.
fn place(object: &[u8], symbol: &str, size: usize) -> Option<Range<usize>> {
    let file = object::File::parse(object).ok()?;
    let symbol = file.symbols().find(|found| found.name() == Ok(symbol))?;
    let (start, _) = file.section_by_index(symbol.section_index()?).ok()?.file_range()?;
    let start = usize::try_from(start.checked_add(symbol.address())?).ok()?;
    (symbol.size() == size as u64).then_some(start..start + size)
}

/// The object with `fields` in its loads.
///
/// # Errors
/// [`Error::Object`] when it is no ELF file, or an offset does not fit an instruction (32 KiB).
fn relocate(object: &[u8], fields: &Fields) -> Result<Vec<u8>, Error> {
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
    fn settings_are_where_the_program_reads_them() {
        let config = Config { watermark: 0x1234_5678, ..Config::EMPTY };
        let settled = settled(OBJECT, &config, 7).expect("our own object");
        let value = |symbol, size| &settled[place(OBJECT, symbol, size).expect("it is there")];
        assert_eq!(value("CONFIG", size_of::<Config>()), config_bytes(&config));
        assert_eq!(value(aya_log::LEVEL, 1), [7]);
        assert_eq!(place(OBJECT, "CONFIG", 1), None);
        assert_eq!(place(OBJECT, "NOTHING", 1), None);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        assert!(relocate(b"text", &Fields::NONE).is_err());
    }
}
