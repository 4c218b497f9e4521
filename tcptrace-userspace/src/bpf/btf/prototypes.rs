//! Arguments of the kernel's trace events, and names of its enumerations.

use super::{Btf, BtfError, KIND_TYPEDEF, word};

const KIND_POINTER: u32 = 2;
const KIND_ENUM: u32 = 6;
const KIND_PROTOTYPE: u32 = 13;

impl Btf<'_> {
    /// Number of arguments that the trace event `name` passes to a program: those of the function type
    /// `btf_trace_<name>` without its first one, which is the kernel's own. `None` when there is no such event.
    ///
    /// # Errors
    /// The part that is damaged.
    pub fn trace_arguments(&self, name: &str) -> Result<Option<u32>, BtfError> {
        let Some(id) = self.named(KIND_TYPEDEF, &format!("btf_trace_{name}"))? else { return Ok(None) };
        let pointer = self.resolve(id)?;
        if pointer.kind != KIND_POINTER {
            return Ok(None);
        }
        let prototype = self.resolve(pointer.referred)?;
        Ok((prototype.kind == KIND_PROTOTYPE).then(|| prototype.members.saturating_sub(1)))
    }

    /// Values and names of the enumeration `name`; none when there is no such enumeration.
    ///
    /// # Errors
    /// The part that is damaged.
    pub fn enumerators(&self, name: &str) -> Result<Vec<(u32, String)>, BtfError> {
        let Some(id) = self.named(KIND_ENUM, name)? else { return Ok(Vec::new()) };
        self.enumerators_of(id)
    }

    /// The values of the first enumeration, which may have no name, that has an enumerator of the name `name`; none when
    /// there is none.
    ///
    /// # Errors
    /// The part that is damaged.
    pub fn enumerators_with(&self, name: &str) -> Result<Vec<(u32, String)>, BtfError> {
        for (id, start) in (1..).zip(&self.starts) {
            let ty = self.read(*start as usize)?;
            if ty.kind != KIND_ENUM {
                continue;
            }
            for i in 0..ty.members as usize {
                if self.name_is(word(self.types, ty.body + 8 * i)?, name) {
                    return self.enumerators_of(id);
                }
            }
        }
        Ok(Vec::new())
    }

    fn enumerators_of(&self, id: u32) -> Result<Vec<(u32, String)>, BtfError> {
        let ty = self.resolve(id)?;
        (0..ty.members as usize)
            .map(|i| {
                let at = ty.body + 8 * i;
                Ok((word(self.types, at + 4)?, self.name(word(self.types, at)?)))
            })
            .collect()
    }

    fn name(&self, at: u32) -> String {
        let rest = self.strings.get(at as usize..).unwrap_or_default();
        let name = rest.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(name).into_owned()
    }
}
