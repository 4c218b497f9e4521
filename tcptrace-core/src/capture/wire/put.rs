//! Writes the part of MessagePack that captures use. Each value but a number below 0 takes as few bytes as it can.

/// Writes a number.
pub(super) fn uint(out: &mut Vec<u8>, value: u64) {
    match (u8::try_from(value), u16::try_from(value), u32::try_from(value)) {
        (Ok(value @ ..0x80), ..) => out.push(value),
        (Ok(value), ..) => out.extend([0xcc, value]),
        (_, Ok(value), _) => marked(out, 0xcd, value.to_be_bytes()),
        (_, _, Ok(value)) => marked(out, 0xce, value.to_be_bytes()),
        _ => marked(out, 0xcf, value.to_be_bytes()),
    }
}

/// Writes a number that may be below 0.
pub(super) fn int(out: &mut Vec<u8>, value: i64) {
    match (u64::try_from(value), i32::try_from(value)) {
        (Ok(value), _) => uint(out, value),
        (_, Ok(value)) => marked(out, 0xd2, value.to_be_bytes()),
        _ => marked(out, 0xd3, value.to_be_bytes()),
    }
}

/// Writes a truth value.
pub(super) fn bool(out: &mut Vec<u8>, value: bool) {
    out.push(if value { 0xc3 } else { 0xc2 });
}

/// Writes nil.
pub(super) fn nil(out: &mut Vec<u8>) {
    out.push(0xc0);
}

/// Writes the head of an array.
pub(super) fn array(out: &mut Vec<u8>, len: usize) {
    head(out, len, (0x90, 0x10), [None, Some(0xdc), Some(0xdd)]);
}

/// Writes the head of a map.
pub(super) fn map(out: &mut Vec<u8>, len: usize) {
    head(out, len, (0x80, 0x10), [None, Some(0xde), Some(0xdf)]);
}

/// Writes bytes.
pub(super) fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    head(out, bytes.len(), (0, 0), [Some(0xc4), Some(0xc5), Some(0xc6)]);
    out.extend_from_slice(bytes);
}

/// Writes a text.
pub(super) fn text(out: &mut Vec<u8>, text: &str) {
    head(out, text.len(), (0xa0, 0x20), [Some(0xd9), Some(0xda), Some(0xdb)]);
    out.extend_from_slice(text.as_bytes());
}

/// Writes a length. A length below the second number of `fixed` is one byte, counted from the first number of `fixed` on.
/// Any other length follows one of the markers, which are for one, two and four bytes.
fn head(out: &mut Vec<u8>, len: usize, fixed: (u8, u8), [one, two, four]: [Option<u8>; 3]) {
    let (first, count) = fixed;
    match (u8::try_from(len), one, u16::try_from(len), two, four) {
        (Ok(len), ..) if len < count => out.push(first | len),
        (Ok(len), Some(marker), ..) => out.extend([marker, len]),
        (_, _, Ok(len), Some(marker), _) => marked(out, marker, len.to_be_bytes()),
        (.., four) => {
            // No frame is this long.
            let len = u32::try_from(len).unwrap_or(u32::MAX);
            marked(out, four.unwrap_or(0xc1), len.to_be_bytes());
        }
    }
}

fn marked<const N: usize>(out: &mut Vec<u8>, marker: u8, bytes: [u8; N]) {
    out.push(marker);
    out.extend_from_slice(&bytes);
}
