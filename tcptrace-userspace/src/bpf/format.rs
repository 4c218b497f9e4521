//! The layout of classic tracepoints' records, from their `format` files in tracefs.
//!
//! Kernels differ: RHEL 9 and PREEMPT_RT shift every field by eight bytes. Before 5.6, and on RHEL 8, `protocol` has
//! one byte, and the fields after it are not aligned. The kernel side cannot read the IPv6 addresses there.

use tcptrace_common::{EndsLayout, RecordLayout, SignalLayout};
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
    /// A field begins at an offset at which the kernel side cannot load it.
    #[error(
        "the tracepoint's field {name} begins at byte {offset}, tcptrace reads it at multiples of {align} only"
    )]
    Unaligned {
        /// The field.
        name: &'static str,
        /// Its offset in this kernel.
        offset: u32,
        /// The alignment that the kernel side needs.
        align: u32,
    },
    /// A field is described more than once, or lies outside of the record.
    #[error("the tracepoint's field {0} is not described as tcptrace knows it")]
    Ambiguous(&'static str),
    /// A field lies in the first bytes, which the kernel hides from programs.
    #[error("the tracepoint's field {0} begins in the first {HEADER} bytes, which programs cannot read")]
    Hidden(&'static str),
    /// Two fields share bytes.
    #[error("the tracepoint's fields {0} and {1} overlap")]
    Overlap(&'static str, &'static str),
    /// A field ends behind the last byte that the kernel side can read.
    #[error("the tracepoint's field {0} ends behind byte {max}", max = RecordLayout::MAX_SIZE)]
    TooLong(&'static str),
}

/// Bytes at the beginning of a record that programs cannot read.
const HEADER: u32 = 8;

/// Reads the text of a `format` file.
///
/// # Errors
/// [`FormatError`]: an unknown layout is refused; nothing is guessed.
pub fn parse_format(text: &str) -> Result<RecordLayout, FormatError> {
    let mut taken: Vec<(&'static str, u32, u32)> = Vec::new();
    let mut field = |name: &'static str, widths: &[u32], align: u32| -> Result<(u32, u32), FormatError> {
        let (offset, size) = find(text, name)?;
        if !widths.contains(&size) {
            return Err(FormatError::Width { name, size, expected: widths[0] });
        }
        let end = offset.checked_add(size).filter(|end| *end <= RecordLayout::MAX_SIZE);
        let end = end.ok_or(FormatError::TooLong(name))?;
        if offset < HEADER {
            return Err(FormatError::Hidden(name));
        }
        // Bytes can be loaded from anywhere.
        let align = align.min(size);
        if !offset.is_multiple_of(align) {
            return Err(FormatError::Unaligned { name, offset, align });
        }
        if let Some((other, ..)) = taken.iter().find(|(_, start, behind)| offset < *behind && *start < end) {
            return Err(FormatError::Overlap(other, name));
        }
        taken.push((name, offset, end));
        Ok((offset, size))
    };
    let (protocol, protocol_size) = field("protocol", &[2, 1], 2)?;
    let mut layout = RecordLayout {
        size: 0,
        skaddr: field("skaddr", &[8], 8)?.0,
        oldstate: field("oldstate", &[4], 4)?.0,
        newstate: field("newstate", &[4], 4)?.0,
        sport: field("sport", &[2], 2)?.0,
        dport: field("dport", &[2], 2)?.0,
        family: field("family", &[2], 2)?.0,
        protocol,
        protocol_size,
        saddr: field("saddr", &[4], 1)?.0,
        daddr: field("daddr", &[4], 1)?.0,
        // Loaded as two words each.
        saddr_v6: field("saddr_v6", &[16], 8)?.0,
        daddr_v6: field("daddr_v6", &[16], 8)?.0,
    };
    layout.size = taken.iter().map(|(.., end)| *end).max().unwrap_or_default();
    Ok(layout)
}

/// Reads the `format` files of the events that signals come from. `text` returns each by the event's path below
/// `events`. An event that lacks a field, or has it in another form than tcptrace knows, is left out.
pub fn parse_signals(text: impl Fn(&str) -> String) -> SignalLayout {
    let (sent, received) = (text("tcp/tcp_send_reset"), text("tcp/tcp_receive_reset"));
    let (segment, synack) = (text("tcp/tcp_retransmit_skb"), text("tcp/tcp_retransmit_synack"));
    let error = text("sock/inet_sk_error_report");
    SignalLayout {
        send_reset: offset(&sent, "skaddr", 8),
        reset_reason: offset(&sent, "reason", 4),
        receive_reset: offset(&received, "skaddr", 8),
        retransmit: offset(&segment, "skaddr", 8),
        error: offset(&error, "error", 4),
        error_protocol: offset(&error, "protocol", 2),
        error_ends: ends(&error),
        synack_ends: ends(&synack),
    }
}

fn ends(text: &str) -> EndsLayout {
    let ends = EndsLayout {
        sport: offset(text, "sport", 2),
        dport: offset(text, "dport", 2),
        saddr_v6: offset(text, "saddr_v6", 16),
        daddr_v6: offset(text, "daddr_v6", 16),
    };
    let is_complete =
        [ends.sport, ends.dport, ends.saddr_v6, ends.daddr_v6].iter().all(|offset| *offset != 0);
    if is_complete { ends } else { EndsLayout::NONE }
}

/// Offset of a field of this width; 0 when there is no such field.
fn offset(text: &str, name: &'static str, width: u32) -> u32 {
    match find(text, name) {
        Ok((offset, size)) if size == width && (HEADER..RecordLayout::MAX_SIZE).contains(&offset) => offset,
        _ => 0,
    }
}

/// Offset and size of the field `name`: `field:__u8 saddr[4]; offset:32; size:4; signed:0;`.
fn find(text: &str, name: &'static str) -> Result<(u32, u32), FormatError> {
    let mut found = text.lines().filter_map(|line| {
        let mut parts = line.trim().split(';').map(str::trim);
        let declaration = parts.next()?.strip_prefix("field:")?;
        let declared = declaration.split_whitespace().last()?;
        let declared = declared.split('[').next()?.trim_start_matches('*');
        if declared != name {
            return None;
        }
        // A field of variable length: the record only has a reference to it.
        let elsewhere = ["__data_loc", "__rel_loc"].iter().any(|kind| declaration.starts_with(kind));
        let number = |part: Option<&str>, key: &str| part?.strip_prefix(key)?.parse::<u32>().ok();
        let place = number(parts.next(), "offset:").zip(number(parts.next(), "size:"));
        Some(place.filter(|_| !elsewhere).ok_or(FormatError::Ambiguous(name)))
    });
    let first = found.next().ok_or(FormatError::NoField(name))??;
    if found.next().is_some() {
        return Err(FormatError::Ambiguous(name));
    }
    Ok(first)
}
