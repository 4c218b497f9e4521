//! The layout of the classic tracepoint's record, from tracefs' `events/sock/inet_sock_set_state/format`.
//!
//! Kernels differ: RHEL 9 and PREEMPT_RT shift every field by eight bytes, `protocol` had one byte before 5.6.

use tcptrace_common::RecordLayout;
use thiserror::Error;

/// A `format` file that tcptrace does not understand.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum FormatError {
    /// A field is missing.
    #[error("the tracepoint's format has no field {0}")]
    NoField(&'static str),
    /// A field has a size that the kernel side cannot read.
    #[error("the tracepoint's field {name} has {size} bytes, tcptrace expects {expected}")]
    Width {
        /// The field.
        name: &'static str,
        /// Bytes in this kernel.
        size: u32,
        /// Bytes that the kernel side reads.
        expected: u32,
    },
    /// A field ends behind the room that the kernel side has.
    #[error("the tracepoint's field {0} ends behind byte {max}", max = RecordLayout::MAX_SIZE)]
    TooLong(&'static str),
}

/// Reads the text of a `format` file.
///
/// # Errors
/// [`FormatError`]: such a layout is refused, not guessed.
pub fn parse_format(text: &str) -> Result<RecordLayout, FormatError> {
    let mut end = 0;
    let mut field = |name: &'static str, widths: &[u32]| -> Result<(u32, u32), FormatError> {
        let (offset, size) = find(text, name).ok_or(FormatError::NoField(name))?;
        if !widths.contains(&size) {
            return Err(FormatError::Width { name, size, expected: widths[0] });
        }
        let field_end = offset.checked_add(size).ok_or(FormatError::TooLong(name))?;
        if field_end > RecordLayout::MAX_SIZE {
            return Err(FormatError::TooLong(name));
        }
        end = end.max(field_end);
        Ok((offset, size))
    };
    let (protocol, protocol_size) = field("protocol", &[2, 1])?;
    let mut layout = RecordLayout {
        size: 0,
        skaddr: field("skaddr", &[8])?.0,
        oldstate: field("oldstate", &[4])?.0,
        newstate: field("newstate", &[4])?.0,
        sport: field("sport", &[2])?.0,
        dport: field("dport", &[2])?.0,
        family: field("family", &[2])?.0,
        protocol,
        protocol_size,
        saddr: field("saddr", &[4])?.0,
        daddr: field("daddr", &[4])?.0,
        saddr_v6: field("saddr_v6", &[16])?.0,
        daddr_v6: field("daddr_v6", &[16])?.0,
    };
    layout.size = end;
    Ok(layout)
}

/// Offset and size of the field `name`: `field:__u8 saddr[4]; offset:32; size:4; signed:0;`.
fn find(text: &str, name: &str) -> Option<(u32, u32)> {
    text.lines().find_map(|line| {
        let mut parts = line.trim().split(';').map(str::trim);
        let declaration = parts.next()?.strip_prefix("field:")?;
        let declared = declaration.split_whitespace().last()?;
        let declared = declared.split('[').next()?.trim_start_matches('*');
        if declared != name {
            return None;
        }
        let offset = parts.next()?.strip_prefix("offset:")?.parse().ok()?;
        let size = parts.next()?.strip_prefix("size:")?.parse().ok()?;
        Some((offset, size))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: &str = include_str!("testdata/inet_sock_set_state.format");

    #[test]
    fn the_usual_layout() {
        let layout = parse_format(FORMAT).unwrap();
        assert_eq!((layout.skaddr, layout.oldstate, layout.daddr_v6, layout.size), (8, 16, 56, 72));
        assert_eq!((layout.protocol, layout.protocol_size), (30, 2));
    }

    #[test]
    fn fields_may_move_and_protocol_may_be_one_byte() {
        let shifted = FORMAT
            .replace("offset:56;", "offset:64;")
            .replace("__u16 protocol;	offset:30;	size:2", "__u8 protocol;	offset:38;	size:1");
        let layout = parse_format(&shifted).unwrap();
        assert_eq!((layout.daddr_v6, layout.size), (64, 80));
        assert_eq!((layout.protocol, layout.protocol_size), (38, 1));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        assert_eq!(parse_format(""), Err(FormatError::NoField("protocol")));
        let wide = FORMAT.replace("sport;	offset:24;	size:2", "sport;	offset:24;	size:4");
        assert_eq!(parse_format(&wide), Err(FormatError::Width { name: "sport", size: 4, expected: 2 }));
        let far = FORMAT.replace("offset:56;", "offset:4294967290;");
        assert_eq!(parse_format(&far), Err(FormatError::TooLong("daddr_v6")));
    }
}
