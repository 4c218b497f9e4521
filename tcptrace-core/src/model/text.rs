//! Makes text from outside safe to print, and numbers easy to read.

use std::fmt::{self, Write as _};

/// A name from the kernel (NUL-padded), escaped. Everything is escaped that a terminal could obey or that could mislead a
/// reader: control characters, bytes that are not UTF-8, invisible characters, and characters that change the direction of
/// text. The backslash is escaped too, so that no escape can be forged.
pub struct Escaped<'a>(pub &'a [u8]);

/// The name as it is, if nothing in it needs escaping. Almost all names are like that.
pub fn plain(name: &[u8]) -> Option<&str> {
    let bytes = until_nul(name);
    let harmless = bytes.iter().all(|byte| matches!(byte, b' '..=b'~') && *byte != b'\\');
    if harmless { str::from_utf8(bytes).ok() } else { None }
}

/// A name of the kernel without its padding.
pub fn until_nul(name: &[u8]) -> &[u8] {
    name.split(|byte| *byte == 0).next().unwrap_or_default()
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(plain) = plain(self.0) {
            return f.write_str(plain);
        }
        let bytes = until_nul(self.0);
        for chunk in bytes.utf8_chunks() {
            for c in chunk.valid().chars() {
                if c == '\\' || c.is_control() || is_invisible(c) {
                    let mut buffer = [0; 4];
                    escape(f, c.encode_utf8(&mut buffer).as_bytes())?;
                } else {
                    f.write_char(c)?;
                }
            }
            escape(f, chunk.invalid())?;
        }
        Ok(())
    }
}

/// Whether a shell, and the command that gets the name, take it as a plain word.
pub fn is_shell_word(name: &str) -> bool {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.:@".contains(letter);
    !name.is_empty() && !name.starts_with('-') && name.chars().all(is_plain)
}

/// Text that tcptrace made, and that should be harmless already; escaped if it is not.
pub fn distrusted(text: String) -> String {
    let bare: String = text.chars().filter(|c| *c != '\\').collect();
    let escaped = Escaped(bare.as_bytes()).to_string();
    if escaped == bare { text } else { Escaped(text.as_bytes()).to_string() }
}

fn escape(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| match byte {
        b'\\' => f.write_str("\\\\"),
        byte => write!(f, "\\x{byte:02x}"),
    })
}

/// Characters without a glyph, and those that reorder text (Unicode: `Cf`, line and paragraph separators).
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{600}'..='\u{605}'
            | '\u{61c}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// A span of time in at most eight characters: `412us`, `3.21ms`, `15.00s`, `4m12s`, `2h03m`, `3d04h`.
pub struct Span(pub u64);

impl Span {
    /// The parts of the text: a number; where there are any, a separator and two more digits; and a unit.
    pub fn parts(&self) -> (u64, Option<(&'static str, u64)>, &'static str) {
        let ns = self.0;
        let seconds = ns / 1_000_000_000;
        match ns {
            0..1_000 => (ns, None, "ns"),
            1_000..1_000_000 => (ns / 1_000, None, "us"),
            1_000_000..1_000_000_000 => (ns / 1_000_000, Some((".", ns / 10_000 % 100)), "ms"),
            1_000_000_000..60_000_000_000 => (seconds, Some((".", ns / 10_000_000 % 100)), "s"),
            _ if seconds < 3_600 => (seconds / 60, Some(("m", seconds % 60)), "s"),
            _ if seconds < 86_400 => (seconds / 3_600, Some(("h", seconds / 60 % 60)), "m"),
            _ => (seconds / 86_400, Some(("d", seconds / 3_600 % 24)), "h"),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parts() {
            (whole, None, unit) => write!(f, "{whole}{unit}"),
            (whole, Some((between, part)), unit) => write!(f, "{whole}{between}{part:02}{unit}"),
        }
    }
}

/// A number of bytes in at most five characters: exact up to 9999, then `12.3K`, `4.5M` in powers of 1024.
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 10_000 {
            return write!(f, "{}", self.0);
        }
        // In tenths of the unit.
        let (mut value, mut units) = (u128::from(self.0) * 10 / 1_024, "KMGTPE".chars());
        let mut unit = units.next();
        while value >= 10_000 {
            value /= 1_024;
            unit = units.next().or(unit);
        }
        let unit = unit.unwrap_or(' ');
        if value < 1_000 {
            write!(f, "{}.{}{unit}", value / 10, value % 10)
        } else {
            write!(f, "{}{unit}", value / 10)
        }
    }
}

/// Whether a shell and `ip netns exec` take the text as a plain name.
pub fn is_netns_name(name: &str) -> bool {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    !name.is_empty() && !name.starts_with('-') && name.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(bytes: &[u8]) -> String {
        Escaped(bytes).to_string()
    }

    #[test]
    fn names_stay_and_commands_do_not() {
        assert_eq!(escaped(b"nginx\0\0\0garbage"), "nginx");
        assert_eq!(escaped(b"\x1b[2Jroot\n\0"), "\\x1b[2Jroot\\x0a");
        assert_eq!(escaped(b"a\\x1b"), "a\\\\x1b");
        assert_eq!(escaped(b"\xff\xfe ok"), "\\xff\\xfe ok");
        assert_eq!(escaped("prüfung".as_bytes()), "prüfung");
        assert_eq!(escaped("\u{9b}31m".as_bytes()), "\\xc2\\x9b31m");
        assert_eq!(escaped("a\u{202e}b".as_bytes()), "a\\xe2\\x80\\xaeb");
    }

    #[test]
    fn spans() {
        let shown: Vec<String> = [7, 412_900, 3_210_000, 15_000_000_000, 252_000_000_000, 7_380_000_000_000]
            .map(|ns| Span(ns).to_string())
            .into();
        assert_eq!(shown, ["7ns", "412us", "3.21ms", "15.00s", "4m12s", "2h03m"]);
        assert_eq!(Span(u64::MAX).to_string(), "213503d23h");
    }

    #[test]
    fn bytes() {
        let shown: Vec<String> = [0, 9_999, 10_000, 102_399, 102_400, 1_048_576, 15 << 20, 10 << 30]
            .map(|n| Bytes(n).to_string())
            .into();
        assert_eq!(shown, ["0", "9999", "9.7K", "99.9K", "100K", "1.0M", "15.0M", "10.0G"]);
        assert_eq!(Bytes(u64::MAX).to_string(), "15.9E");
    }
}
