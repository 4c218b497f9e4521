//! Paths as `/proc/PID/mountinfo` has them.

use std::{ffi::OsString, os::unix::ffi::OsStringExt as _, path::PathBuf};

/// The path in a field of mountinfo: space, tab, newline and backslash are three octal digits there
/// (`proc_pid_mountinfo(5)`).
pub(crate) fn path(mut field: &[u8]) -> PathBuf {
    let mut plain = Vec::with_capacity(field.len());
    while let [first, rest @ ..] = field {
        let code = if *first == b'\\' { rest.first_chunk::<3>() } else { None };
        let code = code.and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 8).ok());
        plain.push(code.unwrap_or(*first));
        field = if code.is_some() { &rest[3..] } else { rest };
    }
    PathBuf::from(OsString::from_vec(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_escape_stays() {
        assert_eq!(path(br"/a\040b\134c"), PathBuf::from(r"/a b\c"));
        for plain in [r"a\9\04", r"\777", r"a\"] {
            assert_eq!(path(plain.as_bytes()), PathBuf::from(plain));
        }
    }
}
