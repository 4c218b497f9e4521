//! Frames: a length, a checksum, and compressed bytes.

use std::io::{self, Read};

use bytes::Buf as _;

use super::Damage;

/// Size of the head of a frame: compressed length, raw length and checksum, each four bytes, least significant first.
const HEAD: u32 = 12;

/// The largest frame that tcptrace writes: one scan of a host with a million sockets.
const LARGEST: u32 = 256 << 20;

/// Makes a frame of these bytes.
///
/// # Errors
/// The bytes are more than a frame can have.
pub fn encode(raw: &[u8]) -> io::Result<Vec<u8>> {
    let raw_len = u32::try_from(raw.len()).ok().filter(|len| *len <= LARGEST);
    let raw_len = raw_len.ok_or_else(|| io::Error::other(format!("{} bytes are too many", raw.len())))?;
    let body = lz4_flex::block::compress(raw);
    let body_len = u32::try_from(body.len()).map_err(io::Error::other)?;
    let mut frame = Vec::with_capacity(HEAD as usize + body.len());
    for word in [body_len, raw_len, checksum(raw_len, &body)] {
        frame.extend(word.to_le_bytes());
    }
    frame.extend(body);
    Ok(frame)
}

/// The checksum of a frame. The raw length is part of it, so that damage there is noticed, too.
fn checksum(raw_len: u32, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&raw_len.to_le_bytes());
    hasher.update(body);
    hasher.finalize()
}

/// Reads the next frame into `raw`, in place of its contents; `false` at the end. `at` is where the frame begins, and
/// afterwards where the next one begins. The memory of `body` and of `raw` is used again.
///
/// # Errors
/// [`Damage`]. No byte is trusted before its checksum is right, and no length beyond the bytes that are there.
pub(super) fn decode(
    input: &mut impl Read,
    at: &mut u64,
    body: &mut Vec<u8>,
    raw: &mut Vec<u8>,
) -> Result<bool, Damage> {
    let start = *at;
    read(input, HEAD, start, body)?;
    match body.len() {
        0 => return Ok(false),
        len if len < HEAD as usize => return Err(Damage::Truncated(start)),
        _ => {}
    }
    let mut words = &body[..];
    let [body_len, raw_len, sum] = std::array::from_fn(|_| words.get_u32_le());
    if body_len > LARGEST || raw_len > LARGEST {
        return Err(Damage::Checksum(start));
    }
    read(input, body_len, start, body)?;
    if body.len() < body_len as usize {
        return Err(Damage::Truncated(start));
    }
    if checksum(raw_len, body) != sum {
        return Err(Damage::Checksum(start));
    }
    // LZ4 makes at most 255 bytes of one.
    if u64::from(raw_len) > u64::from(body_len) * 255 {
        return Err(Damage::Content { at: start, why: "its length is made up".to_owned() });
    }
    raw.resize(raw_len as usize, 0);
    let len = lz4_flex::block::decompress_into(body, raw)
        .map_err(|error| Damage::Content { at: start, why: error.to_string() })?;
    raw.truncate(len);
    *at += u64::from(HEAD) + body.len() as u64;
    Ok(true)
}

/// Reads at most `len` bytes, fewer where there are no more. The allocation grows with the bytes that are there, not with
/// the length that the file states.
fn read(input: &mut impl Read, len: u32, at: u64, bytes: &mut Vec<u8>) -> Result<(), Damage> {
    bytes.clear();
    match input.by_ref().take(len.into()).read_to_end(bytes) {
        Ok(_) => Ok(()),
        Err(error) => Err(Damage::Io { at, why: error.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(bytes: &[u8]) -> (Vec<Vec<u8>>, Option<Damage>) {
        let (mut input, mut at, mut frames) = (bytes, 0, Vec::new());
        loop {
            let mut raw = Vec::new();
            match decode(&mut input, &mut at, &mut Vec::new(), &mut raw) {
                Ok(true) => frames.push(raw),
                Ok(false) => return (frames, None),
                Err(damage) => return (frames, Some(damage)),
            }
        }
    }

    fn file(frames: &[Vec<u8>]) -> Vec<u8> {
        frames.iter().flat_map(|frame| encode(frame).expect("small")).collect()
    }

    proptest! {
        /// Cut anywhere, everything before the cut frame is read.
        #[test]
        fn a_cut_loses_one_frame(frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..99), 1..6), cut in 0_usize..600) {
            let bytes = file(&frames);
            prop_assert_eq!(all(&bytes), (frames.clone(), None));
            let cut = cut.min(bytes.len());
            let (read, damage) = all(&bytes[..cut]);
            prop_assert!(frames.starts_with(&read));
            let whole = file(&read).len() == cut;
            prop_assert_eq!(damage.is_none(), whole);
        }

        /// A flipped bit is noticed, and everything before it is read.
        #[test]
        fn damage_is_noticed(frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..99), 1..6), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
            let mut bytes = file(&frames);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let (read, damage) = all(&bytes);
            prop_assert!(frames.starts_with(&read) && read.len() < frames.len());
            prop_assert!(damage.is_some());
        }

        #[test]
        fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            all(&bytes);
        }
    }
}
