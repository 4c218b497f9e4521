//! Versions as `rustc -vV` and `bpf-linker --version` print them.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// The identity of a compiler. Equal compilers make the same bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rustc {
    /// The first line, which also names a distribution's build.
    pub(crate) version: String,
    /// The Git commit. Distributions build from a source archive and may not know it.
    pub(crate) commit: String,
    /// The triple that the compiler runs on.
    pub(crate) host: String,
    /// The version of the compiler's LLVM.
    pub(crate) llvm: String,
}

impl Rustc {
    /// Reads the output of `rustc -vV`.
    ///
    /// # Errors
    /// A line is missing.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let field = |name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            value.map(str::to_owned).with_context(|| format!("`rustc -vV` tells no {name}"))
        };
        Ok(Self {
            version: text.lines().next().unwrap_or_default().to_owned(),
            commit: field("commit-hash")?,
            host: field("host")?,
            llvm: field("LLVM version")?,
        })
    }

    /// The first number of LLVM's version, which decides the bitcode format; 0 when it is not a number.
    pub(crate) fn llvm_major(&self) -> u32 {
        self.llvm.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0)
    }
}

/// The version in a line such as `bpf-linker 0.10.3`.
pub(crate) fn second_word(line: &str) -> Option<&str> {
    line.split_whitespace().nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NIGHTLY: &str = "rustc 1.97.0-nightly (e50aa6fba 2026-05-19)\nbinary: rustc\n\
        commit-hash: e50aa6fba4e63ab34c72bf9acfd2c307c1155d1a\ncommit-date: 2026-05-19\n\
        host: x86_64-unknown-linux-gnu\nrelease: 1.97.0-nightly\nLLVM version: 22.1.4";

    #[test]
    fn rustc_tells_what_it_is() {
        let rustc = Rustc::parse(NIGHTLY).expect("all lines are there");
        assert_eq!(rustc.version, "rustc 1.97.0-nightly (e50aa6fba 2026-05-19)");
        assert_eq!(rustc.commit, "e50aa6fba4e63ab34c72bf9acfd2c307c1155d1a");
        assert_eq!(rustc.host, "x86_64-unknown-linux-gnu");
        assert_eq!(rustc.llvm, "22.1.4");
        assert_eq!(rustc.llvm_major(), 22);
    }

    #[test]
    fn a_missing_line_is_named() {
        let error = Rustc::parse("rustc 1.97.0\nhost: x\ncommit-hash: y").expect_err("a fault").to_string();
        assert!(error.contains("LLVM version"), "{error}");
    }

    #[test]
    fn the_linkers_version_is_the_second_word() {
        assert_eq!(second_word("bpf-linker 0.10.3\n"), Some("0.10.3"));
        assert_eq!(second_word("bpf-linker"), None);
    }
}
