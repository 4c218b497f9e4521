//! bpf-linker: find the required version, or install it into the target folder.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use super::version;
use crate::{process, workspace};

/// The version with the same LLVM as the toolchains. Another version would make other bytes.
const VERSION: &str = "0.10.3";

/// A bpf-linker of the right version.
pub(crate) struct Linker {
    pub(crate) path: PathBuf,
    pub(crate) version: &'static str,
}

impl Linker {
    /// bpf-linker from the target folder or PATH; installs it into the target folder where neither fits.
    ///
    /// # Errors
    /// bpf-linker cannot be installed.
    pub(crate) fn find() -> Result<Self> {
        for path in [Some(workspace::tool("bpf-linker")?), process::find("bpf-linker")].into_iter().flatten()
        {
            match version_of(&path).as_deref() {
                Some(VERSION) => return Ok(Self { path, version: VERSION }),
                Some(other) => eprintln!("{} is version {other}, not {VERSION}: not used", path.display()),
                None => {}
            }
        }
        // LLVM does bpf-linker's work, and LLVM is optimized in any case.
        let options = ["--version", VERSION, "--debug"];
        let path = workspace::install_tool("bpf-linker", &options, "about a minute")?;
        Ok(Self { path, version: VERSION })
    }
}

fn version_of(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    version::second_word(&String::from_utf8_lossy(&output.stdout)).map(str::to_owned)
}
