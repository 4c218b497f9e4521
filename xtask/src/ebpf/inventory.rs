//! The names that an object holds. They can be compared when the bytes differ because the toolchains do.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use object::build::elf::{Builder, Section, Symbol};
use object::elf;

/// Names in an object.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Inventory {
    sections: BTreeSet<String>,
    programs: BTreeSet<String>,
    maps: BTreeSet<String>,
    settings: BTreeSet<String>,
}

impl Inventory {
    /// Reads the names in `object`.
    ///
    /// # Errors
    /// `object` is not an ELF object.
    pub(crate) fn read(object: &[u8]) -> Result<Self> {
        let builder = Builder::read(object).context("the object")?;
        let mut inventory = Self::default();
        for section in &builder.sections {
            inventory.sections.insert(section_name(section));
        }
        for symbol in &builder.symbols {
            let Some(section) = symbol.section.map(|id| builder.sections.get(id)) else { continue };
            let section = section_name(section);
            let name = symbol_name(symbol);
            match (symbol.st_type(), section.as_str()) {
                // Helper functions that the compiler kept out of line.
                (elf::STT_FUNC, ".text") => false,
                (elf::STT_FUNC, _) => inventory.programs.insert(format!("{section}: {name}")),
                (elf::STT_OBJECT, "maps" | ".maps") => inventory.maps.insert(name),
                (elf::STT_OBJECT, _) if section.starts_with(".rodata.") => inventory.settings.insert(name),
                _ => false,
            };
        }
        Ok(inventory)
    }

    /// One line for each name that only one of the inventories has.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let kinds = [
            ("section", &self.sections, &other.sections),
            ("program", &self.programs, &other.programs),
            ("map", &self.maps, &other.maps),
            ("setting", &self.settings, &other.settings),
        ];
        let mut lines = Vec::new();
        for (kind, ours, theirs) in kinds {
            lines.extend(
                ours.difference(theirs).map(|name| format!("{kind} {name}: only in the recorded object")),
            );
            lines.extend(
                theirs.difference(ours).map(|name| format!("{kind} {name}: only in the rebuilt object")),
            );
        }
        lines
    }

    /// The number of names of each kind.
    pub(crate) fn counts(&self) -> String {
        format!(
            "{} sections, {} programs, {} maps, {} settings",
            self.sections.len(),
            self.programs.len(),
            self.maps.len(),
            self.settings.len()
        )
    }
}

fn section_name(section: &Section<'_>) -> String {
    String::from_utf8_lossy(section.name.as_slice()).into_owned()
}

fn symbol_name(symbol: &Symbol<'_>) -> String {
    String::from_utf8_lossy(symbol.name.as_slice()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checked_in_object_has_programs_and_maps() {
        let object = std::fs::read(super::super::object_path()).expect("the object is checked in");
        let inventory = Inventory::read(&object).expect("an ELF object");
        assert!(inventory.programs.iter().any(|name| name.starts_with("tp_btf/")), "{inventory:?}");
        assert!(!inventory.maps.is_empty() && !inventory.settings.is_empty(), "{inventory:?}");
        assert!(inventory.differences(&inventory).is_empty());
    }

    #[test]
    fn a_missing_map_is_named() {
        let ours = Inventory { maps: ["events".into(), "counters".into()].into(), ..Inventory::default() };
        let theirs = Inventory { maps: ["events".into(), "more".into()].into(), ..Inventory::default() };
        assert_eq!(
            ours.differences(&theirs),
            ["map counters: only in the recorded object", "map more: only in the rebuilt object"]
        );
    }
}
