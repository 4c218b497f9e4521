//! The record beside the object: its sources, and the tools that built it.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{Kind, Linker, Sources, Toolchain, version::Rustc};

const HEADER: &str = "\
# Where tcptrace.bpf.o comes from. Written by `cargo xtask build-ebpf`, compared by `cargo xtask check-ebpf`.
# All hashes are SHA-256.
";

/// The origin of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Provenance {
    /// SHA-256 of the object.
    pub(crate) object: String,
    pub(crate) builder: Builder,
    pub(crate) sources: Sources,
}

/// The tools that built an object. Equal builders make the same bytes from the same sources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Builder {
    pub(crate) toolchain: Kind,
    pub(crate) bpf_linker: String,
    pub(crate) rustc: Rustc,
}

impl Builder {
    /// The builder of a build that is about to start.
    pub(crate) fn new(toolchain: &Toolchain, linker: &Linker) -> Self {
        Self {
            toolchain: toolchain.kind,
            bpf_linker: linker.version.to_owned(),
            rustc: toolchain.rustc.clone(),
        }
    }

    /// The builder in words.
    pub(crate) fn shown(&self) -> String {
        let Self { rustc, bpf_linker, .. } = self;
        format!("{}, LLVM {}, bpf-linker {bpf_linker}, on {}", rustc.version, rustc.llvm, rustc.host)
    }
}

impl Provenance {
    /// # Errors
    /// `file` is missing or is not a provenance record.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        toml::from_str(&text).with_context(|| file.display().to_string())
    }

    /// # Errors
    /// `file` cannot be written.
    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        let text = format!("{HEADER}{}", toml::to_string(self)?);
        fs::write(file, text).with_context(|| file.display().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("record");
        let record = Provenance {
            object: "00".into(),
            builder: Builder {
                toolchain: Kind::Debian,
                bpf_linker: "0.10.3".into(),
                rustc: Rustc {
                    version: "rustc 1.96.0 (built from a source tarball)".into(),
                    commit: "unknown".into(),
                    host: "x86_64-unknown-linux-gnu".into(),
                    llvm: "22.1.8".into(),
                },
            },
            sources: Sources::read(crate::workspace::root()).expect("the workspace is complete"),
        };
        record.write(&file).expect("a record");
        assert_eq!(Provenance::read(&file).expect("the same record"), record);
        fs::write(&file, "object = 1").expect("a file");
        assert!(Provenance::read(&file).is_err());
    }
}
