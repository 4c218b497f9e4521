//! Offsets of fields in kernel structures, from the kernel's own type information.
//!
//! Format: `Documentation/bpf/btf.rst`. Only the types that member offsets need are read: structures, unions, and the
//! typedefs and qualifiers between them.

mod excerpt;
mod prototypes;

use std::cell::Cell;

use thiserror::Error;

pub use excerpt::Excerpt;

const MAGIC: u16 = 0xeb9f;
const KIND_ARRAY: u32 = 3;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
const KIND_TYPEDEF: u32 = 8;

/// Members to search for one name: more than any structure has, unnamed members included. Structures that contain each
/// other, which no compiler writes, would have so many that the search would not end in time.
const MAX_MEMBERS: u32 = 1 << 14;

/// A field of a structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Bytes from the start of the outermost structure.
    pub offset: u32,
    /// Bytes.
    pub size: u32,
}

/// Type information that cannot be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BtfError {
    /// It is not BTF, or cut short.
    #[error("the kernel's BTF is damaged at byte {0}")]
    Damaged(usize),
    /// A type of a kind that is newer than this reader. Its size is unknown, and so is the beginning of the next type.
    #[error("the kernel's BTF has a type of unknown kind {0}")]
    UnknownKind(u32),
    /// No such structure or member.
    #[error("the kernel's BTF has no {0}")]
    NoField(String),
    /// The member does not lie inside its structure.
    #[error("{0} lies outside of its structure in the kernel's BTF")]
    Outside(String),
    /// The member is a bit field, which has no address.
    #[error("{0} is a bit field in this kernel")]
    BitField(String),
}

/// A single bit of a structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bit {
    /// Bytes from the start of the outermost structure to the byte with the bit.
    pub offset: u32,
    /// A byte with only this bit set.
    pub mask: u8,
}

impl Bit {
    /// The bit with this number, counted from the byte at `offset`, of a machine that has its least significant byte
    /// first.
    pub const fn of(offset: u32, number: u32) -> Self {
        Self { offset: offset + number / 8, mask: 1 << (number % 8) }
    }
}

/// Parsed type information.
#[derive(Debug)]
pub struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Offset of each type in `types`; type ids start at 1.
    starts: Vec<u32>,
    /// The structure of the last lookup: callers ask for the fields of one structure after the other.
    last: Cell<Option<u32>>,
}

/// The place that a path leads to.
struct Place {
    /// The structure at the beginning of the path.
    outer: u32,
    /// The type at the place.
    id: u32,
    /// Bits from the beginning of that structure.
    bits: u32,
    /// Width of a bit field in bits; 0 for anything else.
    width: u32,
}

#[derive(Clone, Copy)]
struct Type {
    name: u32,
    kind: u32,
    members: u32,
    /// Member offsets hold a bit field size in their upper byte.
    bit_fields: bool,
    /// Size in bytes, or the id of the type referred to.
    referred: u32,
    /// Offset of the members.
    body: usize,
}

impl<'a> Btf<'a> {
    /// Indexes `data`, the content of `/sys/kernel/btf/vmlinux`.
    ///
    /// # Errors
    /// [`BtfError::Damaged`] or [`BtfError::UnknownKind`].
    pub fn parse(data: &'a [u8]) -> Result<Self, BtfError> {
        let magic = data.get(..2).map(|b| u16::from_ne_bytes([b[0], b[1]]));
        if magic != Some(MAGIC) {
            return Err(BtfError::Damaged(0));
        }
        let header = word(data, 4)? as usize;
        let section = |at: usize| -> Result<&'a [u8], BtfError> {
            let (start, len) = (word(data, at)? as usize, word(data, at + 4)? as usize);
            let start = header.checked_add(start).ok_or(BtfError::Damaged(at))?;
            let end = start.checked_add(len).ok_or(BtfError::Damaged(at))?;
            data.get(start..end).ok_or(BtfError::Damaged(at))
        };
        let (types, strings) = (section(8)?, section(16)?);
        let mut btf =
            Self { types, strings, starts: Vec::with_capacity(types.len() / 40), last: Cell::new(None) };
        let mut at = 0;
        while at < types.len() {
            btf.starts.push(u32::try_from(at).map_err(|_| BtfError::Damaged(at))?);
            at = btf.read(at)?.end()?;
        }
        Ok(btf)
    }

    /// Looks up a path such as `sock.__sk_common.skc_family`; members of unnamed structures and unions are
    /// found as if they were the outer one's, as in C.
    ///
    /// # Errors
    /// [`BtfError::NoField`], [`BtfError::BitField`], [`BtfError::Outside`], or an error of damaged data.
    pub fn field(&self, path: &str) -> Result<Field, BtfError> {
        let Place { outer, id, bits, width } = self.place(path)?;
        if width != 0 || !bits.is_multiple_of(8) {
            return Err(BtfError::BitField(path.to_owned()));
        }
        let field = Field { offset: bits / 8, size: self.size(id, 0)? };
        self.inside(outer, field, path)?;
        Ok(field)
    }

    /// Looks up a bit field of a single bit by such a path.
    ///
    /// # Errors
    /// [`BtfError::NoField`], also where the member is no single bit; [`BtfError::Outside`], or an error of damaged
    /// data.
    pub fn bit(&self, path: &str) -> Result<Bit, BtfError> {
        let Place { outer, bits, width, .. } = self.place(path)?;
        if width != 1 {
            return Err(BtfError::NoField(path.to_owned()));
        }
        let bit = Bit::of(0, bits);
        self.inside(outer, Field { offset: bit.offset, size: 1 }, path)?;
        Ok(bit)
    }

    fn place(&self, path: &str) -> Result<Place, BtfError> {
        let missing = || BtfError::NoField(path.to_owned());
        let mut names = path.split('.');
        let outer = self.structure(names.next().unwrap_or_default())?.ok_or_else(missing)?;
        let mut place = Place { outer, id: outer, bits: 0, width: 0 };
        for name in names {
            // Nothing lies inside of a bit field.
            if place.width != 0 {
                return Err(missing());
            }
            let (id, offset, width) = self.member(place.id, name, 0, &mut 0)?.ok_or_else(missing)?;
            let bits = place.bits.checked_add(offset).ok_or_else(missing)?;
            place = Place { outer, id, bits, width };
        }
        Ok(place)
    }

    fn inside(&self, outer: u32, field: Field, path: &str) -> Result<(), BtfError> {
        let room = self.size(outer, 0)?;
        if field.offset.checked_add(field.size).is_none_or(|end| end > room) {
            return Err(BtfError::Outside(path.to_owned()));
        }
        Ok(())
    }

    /// The id of the structure `name`.
    fn structure(&self, name: &str) -> Result<Option<u32>, BtfError> {
        if let Some(last) = self.last.get()
            && self.name_is(self.resolve(last)?.name, name)
        {
            return Ok(Some(last));
        }
        for (id, start) in (1..).zip(&self.starts) {
            let ty = self.read(*start as usize)?;
            if ty.kind == KIND_STRUCT && ty.members > 0 && !name.is_empty() && self.name_is(ty.name, name) {
                self.last.set(Some(id));
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// The id of the first type of this kind and name.
    fn named(&self, kind: u32, name: &str) -> Result<Option<u32>, BtfError> {
        for (id, start) in (1..).zip(&self.starts) {
            let ty = self.read(*start as usize)?;
            if ty.kind == kind && self.name_is(ty.name, name) {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Type, bit offset and width of the member `name` of type `id`; the width is in bits, for a bit field only. Adds
    /// the number of searched members to `seen`.
    fn member(
        &self,
        id: u32,
        name: &str,
        depth: u32,
        seen: &mut u32,
    ) -> Result<Option<(u32, u32, u32)>, BtfError> {
        let ty = self.resolve(id)?;
        if depth > 16 || !matches!(ty.kind, KIND_STRUCT | KIND_UNION) {
            return Ok(None);
        }
        for i in 0..ty.members as usize {
            let at = ty.body + 12 * i;
            *seen += 1;
            if *seen > MAX_MEMBERS {
                return Err(BtfError::Damaged(at));
            }
            let (name_at, member, offset) =
                (word(self.types, at)?, word(self.types, at + 4)?, word(self.types, at + 8)?);
            let (bits, width) =
                if ty.bit_fields { (offset & 0x00ff_ffff, offset >> 24) } else { (offset, 0) };
            if self.name_is(name_at, name) {
                return Ok(Some((member, bits, width)));
            }
            if self.name_is(name_at, "")
                && let Some((found, inner, width)) = self.member(member, name, depth + 1, seen)?
            {
                return Ok(Some((found, bits.saturating_add(inner), width)));
            }
        }
        Ok(None)
    }

    /// Size of a value of type `id` in bytes.
    fn size(&self, id: u32, depth: u32) -> Result<u32, BtfError> {
        let ty = self.resolve(id)?;
        match ty.kind {
            2 => Ok(8),
            KIND_ARRAY if depth < 16 => {
                let element = self.size(word(self.types, ty.body)?, depth + 1)?;
                Ok(element.saturating_mul(word(self.types, ty.body + 8)?))
            }
            _ => Ok(ty.referred),
        }
    }

    /// Follows typedefs, qualifiers and type tags.
    fn resolve(&self, mut id: u32) -> Result<Type, BtfError> {
        for _ in 0..32 {
            let start = id
                .checked_sub(1)
                .and_then(|index| self.starts.get(index as usize))
                .ok_or(BtfError::Damaged(id as usize))?;
            let ty = self.read(*start as usize)?;
            // typedef, volatile, const, restrict, type tag
            if !matches!(ty.kind, 8..=11 | 18) {
                return Ok(ty);
            }
            id = ty.referred;
        }
        Err(BtfError::Damaged(id as usize))
    }

    fn read(&self, at: usize) -> Result<Type, BtfError> {
        let info = word(self.types, at + 4)?;
        Ok(Type {
            name: word(self.types, at)?,
            kind: (info >> 24) & 0x1f,
            members: info & 0xffff,
            bit_fields: info >> 31 == 1,
            referred: word(self.types, at + 8)?,
            body: at + 12,
        })
    }

    fn name_is(&self, at: u32, name: &str) -> bool {
        self.strings
            .get(at as usize..)
            .is_some_and(|rest| rest.starts_with(name.as_bytes()) && rest.get(name.len()) == Some(&0))
    }
}

impl Type {
    /// Offset of the next type.
    fn end(self) -> Result<usize, BtfError> {
        let members = self.members as usize;
        let body = match self.kind {
            // pointer, forward, typedef, volatile, const, restrict, function, float, type tag
            2 | 7..=12 | 16 | 18 => 0,
            // int, variable, declaration tag
            1 | 14 | 17 => 4,
            KIND_ARRAY => 12,
            // structure, union, data section, 64-bit enum
            KIND_STRUCT | KIND_UNION | 15 | 19 => 12 * members,
            // enum, function prototype
            6 | 13 => 8 * members,
            kind => return Err(BtfError::UnknownKind(kind)),
        };
        Ok(self.body + body)
    }
}

fn word(data: &[u8], at: usize) -> Result<u32, BtfError> {
    let bytes = data.get(at..).and_then(|rest| rest.first_chunk::<4>()).ok_or(BtfError::Damaged(at))?;
    Ok(u32::from_ne_bytes(*bytes))
}
