//! Reads the part of MessagePack that captures use. The writer of a message may have put anything into it.

use super::Malformed;

/// Maximum memory of the values, for each byte of a message, and in any case. A message of tcptrace's own takes less than
/// half of that.
const GROWTH: usize = 16;
const FREE: usize = 64 << 10;

/// The rest of a message.
pub(super) struct Bytes<'a> {
    rest: &'a [u8],
    /// Memory that its values may still take.
    budget: usize,
}

impl<'a> Bytes<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self { rest: message, budget: message.len().saturating_mul(GROWTH).saturating_add(FREE) }
    }

    /// Charges memory before it is allocated: for `count` values of a type.
    ///
    /// # Errors
    /// The values take more memory than a message of this size has.
    pub(super) fn charge<T>(&mut self, count: usize) -> Result<(), Malformed> {
        let left = count.checked_mul(size_of::<T>()).and_then(|size| self.budget.checked_sub(size));
        self.budget = left.ok_or(Malformed::Because("it has more elements than it can have"))?;
        Ok(())
    }

    /// How many bytes are left.
    #[cfg(test)]
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Malformed::CUT)?;
        self.rest = rest;
        Ok(taken)
    }

    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (chunk, rest) = self.rest.split_first_chunk::<N>().ok_or(Malformed::CUT)?;
        self.rest = rest;
        Ok(*chunk)
    }

    fn marker(&mut self) -> Result<u8, Malformed> {
        self.chunk().map(|[marker]| marker)
    }

    /// Reads a length of `width` bytes.
    fn len(&mut self, width: u8) -> Result<usize, Malformed> {
        let len = match width {
            1 => u8::from_be_bytes(self.chunk()?).into(),
            2 => u16::from_be_bytes(self.chunk()?).into(),
            _ => u32::from_be_bytes(self.chunk()?),
        };
        usize::try_from(len).map_err(|_| Malformed::CUT)
    }

    /// Reads a number.
    pub(super) fn uint(&mut self) -> Result<u64, Malformed> {
        Ok(match self.marker()? {
            value @ ..0x80 => value.into(),
            0xcc => u8::from_be_bytes(self.chunk()?).into(),
            0xcd => u16::from_be_bytes(self.chunk()?).into(),
            0xce => u32::from_be_bytes(self.chunk()?).into(),
            0xcf => u64::from_be_bytes(self.chunk()?),
            _ => return Err(Malformed::Because("a number is something else")),
        })
    }

    /// Reads a number that may be below 0.
    pub(super) fn int(&mut self) -> Result<i64, Malformed> {
        let value = match self.peek().ok_or(Malformed::CUT)? {
            0xe0.. => i8::from_be_bytes(self.chunk()?).into(),
            0xd0 => self.signed().map(|[byte]| i8::from_be_bytes([byte]).into())?,
            0xd1 => self.signed().map(i16::from_be_bytes)?.into(),
            0xd2 => self.signed().map(i32::from_be_bytes)?.into(),
            0xd3 => self.signed().map(i64::from_be_bytes)?,
            _ => i64::try_from(self.uint()?).map_err(|_| Malformed::RANGE)?,
        };
        Ok(value)
    }

    /// Reads the value behind a marker.
    fn signed<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.marker()?;
        self.chunk()
    }

    /// Reads a truth value.
    pub(super) fn bool(&mut self) -> Result<bool, Malformed> {
        match self.marker()? {
            0xc2 => Ok(false),
            0xc3 => Ok(true),
            _ => Err(Malformed::Because("a truth value is something else")),
        }
    }

    /// Whether nil comes next. Takes it.
    pub(super) fn is_nil(&mut self) -> bool {
        let is_nil = self.peek() == Some(0xc0);
        if is_nil {
            self.rest = &self.rest[1..];
        }
        is_nil
    }

    /// Whether a number comes next.
    pub(super) fn is_uint(&self) -> bool {
        self.peek().is_some_and(|marker| matches!(marker, ..0x80 | 0xcc..=0xcf))
    }

    /// Whether an array comes next.
    pub(super) fn is_array(&self) -> bool {
        self.peek().is_some_and(|marker| matches!(marker, 0x90..0xa0 | 0xdc | 0xdd))
    }

    /// Whether a map comes next.
    pub(super) fn is_map(&self) -> bool {
        self.peek().is_some_and(|marker| matches!(marker, 0x80..0x90 | 0xde | 0xdf))
    }

    /// Reads bytes, or those of a text.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let len = match self.marker()? {
            marker @ 0xa0..0xc0 => usize::from(marker & 0x1f),
            0xc4 | 0xd9 => self.len(1)?,
            0xc5 | 0xda => self.len(2)?,
            0xc6 | 0xdb => self.len(4)?,
            _ => return Err(Malformed::Because("bytes or a text are something else")),
        };
        self.take(len)
    }

    /// Reads the head of an array: the number of its elements.
    pub(super) fn array(&mut self) -> Result<usize, Malformed> {
        let len = match self.marker()? {
            marker @ 0x90..0xa0 => usize::from(marker & 0xf),
            0xdc => self.len(2)?,
            0xdd => self.len(4)?,
            _ => return Err(Malformed::Because("elements are something else")),
        };
        // Each element has at least a byte.
        if len > self.rest.len() { Err(Malformed::CUT) } else { Ok(len) }
    }

    /// Reads the head of a map: the number of its pairs.
    pub(super) fn map(&mut self) -> Result<usize, Malformed> {
        let len = match self.marker()? {
            marker @ 0x80..0x90 => usize::from(marker & 0xf),
            0xde => self.len(2)?,
            0xdf => self.len(4)?,
            _ => return Err(Malformed::Because("pairs are something else")),
        };
        if len > self.rest.len() / 2 { Err(Malformed::CUT) } else { Ok(len) }
    }

    /// Skips a value of any type.
    pub(super) fn skip(&mut self) -> Result<(), Malformed> {
        let mut left = 1_usize;
        while left > 0 {
            left -= 1;
            let (inside, len) = match self.marker()? {
                marker @ 0x80..0x90 => (2 * usize::from(marker & 0xf), 0),
                marker @ 0x90..0xa0 => (usize::from(marker & 0xf), 0),
                marker @ 0xa0..0xc0 => (0, usize::from(marker & 0x1f)),
                ..0x80 | 0xc0 | 0xc2 | 0xc3 | 0xe0.. => (0, 0),
                0xc1 => return Err(Malformed::Because("a value has no type")),
                0xc4 | 0xd9 => (0, self.len(1)?),
                0xc5 | 0xda => (0, self.len(2)?),
                0xc6 | 0xdb => (0, self.len(4)?),
                // Extension types, which have another byte for their type.
                0xc7 => (0, self.len(1)?.saturating_add(1)),
                0xc8 => (0, self.len(2)?.saturating_add(1)),
                0xc9 => (0, self.len(4)?.saturating_add(1)),
                marker @ 0xd4..=0xd8 => (0, 1 + (1_usize << (marker - 0xd4))),
                0xcc | 0xd0 => (0, 1),
                0xcd | 0xd1 => (0, 2),
                0xca | 0xce | 0xd2 => (0, 4),
                0xcb | 0xcf | 0xd3 => (0, 8),
                0xdc => (self.len(2)?, 0),
                0xdd => (self.len(4)?, 0),
                0xde => (self.len(2)?.saturating_mul(2), 0),
                0xdf => (self.len(4)?.saturating_mul(2), 0),
            };
            self.take(len)?;
            left = left.saturating_add(inside);
        }
        Ok(())
    }

    /// Passes on the fields of a structure by their places, without those that are absent. `take` takes the value or skips
    /// it.
    pub(super) fn fields(
        &mut self,
        mut take: impl FnMut(usize, &mut Self) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        for place in 0..self.array()? {
            if !self.is_nil() {
                take(place, self)?;
            }
        }
        Ok(())
    }

    /// Reads a choice by its number, or by its name in `names`, as versions before 5 have it; and whether a value follows.
    pub(super) fn choice(&mut self, names: &[(&[u8], u64)]) -> Result<(u64, bool), Malformed> {
        let has_value = self.is_map();
        if has_value && self.map()? != 1 {
            return Err(Malformed::Because("one of several has not one value"));
        }
        if self.is_uint() {
            return Ok((self.uint()?, has_value));
        }
        let name = self.bytes()?;
        let known = names.iter().find(|(known, _)| *known == name);
        let (_, number) = known.ok_or(Malformed::Because("one of several has an unknown name"))?;
        Ok((*number, has_value))
    }
}
