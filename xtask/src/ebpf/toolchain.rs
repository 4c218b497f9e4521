//! The two toolchains that build the kernel side: a nightly of rustup, or Debian's rustc for bare targets.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::{TARGET, version::Rustc};
use crate::{process, workspace};

/// The nightly that builds the checked-in object. It is installed when no nightly fits.
const PINNED: &str = "nightly-2026-05-20";

/// The LLVM of bpf-linker, which reads bitcode of this version only. rustc must be built with the same.
pub(crate) const LLVM_MAJOR: u32 = 22;

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_PACKAGES: &str = "apt-get install rustc-web cargo-web libstd-rust-web-dev-bpf libllvm22";

/// Where a toolchain comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// A nightly of rustup, which builds `core` from source.
    Rustup,
    /// Debian's packages, which bring `core` for BPF.
    Debian,
}

/// A toolchain that can build for BPF.
pub(crate) struct Toolchain {
    pub(crate) kind: Kind,
    pub(crate) rustc: Rustc,
    /// The toolchain's name for rustup; empty for Debian's.
    name: String,
    sysroot: PathBuf,
    /// The folder of LLVM's library.
    llvm: PathBuf,
}

impl Toolchain {
    /// The toolchain of `kind`; without one, rustup's where rustup is, else Debian's.
    ///
    /// # Errors
    /// The toolchain is missing and cannot be installed from here; the message names the command that installs it.
    pub(crate) fn find(kind: Option<Kind>) -> Result<Self> {
        let toolchain = match kind {
            Some(Kind::Debian) => Self::debian()?,
            Some(Kind::Rustup) => Self::rustup()?,
            None if process::find("rustup").is_some() => Self::rustup()?,
            None => Self::debian().context("there is no rustup either (https://rustup.rs)")?,
        };
        if toolchain.kind == Kind::Rustup {
            toolchain.need_component("rust-src")?;
        }
        Ok(toolchain)
    }

    /// A nightly of rustup whose LLVM fits; installs one where there is none.
    ///
    /// # Errors
    /// rustup is missing, or cannot install a nightly.
    pub(crate) fn rustup() -> Result<Self> {
        let rustup = process::find("rustup").context("rustup is missing: see https://rustup.rs")?;
        let list = process::output(Command::new(rustup).args(["toolchain", "list"]))?;
        for name in installed(&list) {
            let toolchain = Self::nightly(name)?;
            if toolchain.rustc.llvm_major() == LLVM_MAJOR {
                return Ok(toolchain);
            }
            eprintln!("{name} has LLVM {}, bpf-linker needs {LLVM_MAJOR}: not used", toolchain.rustc.llvm);
        }
        eprintln!("installing the toolchain {PINNED}");
        process::run(Command::new("rustup").args(["toolchain", "install", PINNED, "--profile", "minimal"]))
            .with_context(|| format!("no nightly with LLVM {LLVM_MAJOR}: rustup toolchain install {PINNED}"))?;
        Self::nightly(PINNED)
    }

    fn nightly(name: &str) -> Result<Self> {
        let rustc = || {
            let mut command = Command::new("rustup");
            command.args(["run", name, "rustc"]);
            command
        };
        let version = Rustc::parse(&process::output(rustc().arg("-vV"))?)?;
        let sysroot = PathBuf::from(process::output(rustc().args(["--print", "sysroot"]))?);
        Ok(Self {
            kind: Kind::Rustup,
            name: name.to_owned(),
            llvm: sysroot.join("lib"),
            rustc: version,
            sysroot,
        })
    }

    fn debian() -> Result<Self> {
        let need = |file: &Path| {
            if file.exists() {
                return Ok(());
            }
            bail!("Debian's Rust for BPF is not complete: {DEBIAN_PACKAGES} ({} is missing)", file.display())
        };
        need(Path::new(DEBIAN_RUSTC))?;
        need(Path::new(DEBIAN_CARGO))?;
        let rustc = || Command::new(DEBIAN_RUSTC);
        let version = Rustc::parse(&process::output(rustc().arg("-vV"))?)?;
        let sysroot = PathBuf::from(process::output(rustc().args(["--print", "sysroot"]))?);
        let lib = sysroot.join("lib");
        need(&lib.join("rustlib").join(TARGET).join("lib"))?;
        if version.llvm_major() != LLVM_MAJOR {
            bail!("{DEBIAN_RUSTC} has LLVM {}, bpf-linker needs {LLVM_MAJOR}", version.llvm);
        }
        // Debian leaves the vendor out of the triple.
        let library = lib.join(version.host.replace("-unknown", "")).join(format!("libLLVM-{LLVM_MAJOR}.so"));
        need(&library)?;
        Ok(Self {
            kind: Kind::Debian,
            name: String::new(),
            llvm: only_llvm(&library)?,
            rustc: version,
            sysroot,
        })
    }

    /// Adds a component of rustup if it is missing.
    ///
    /// # Errors
    /// rustup cannot add the component.
    pub(crate) fn need_component(&self, component: &str) -> Result<()> {
        let mut list = Command::new("rustup");
        list.args(["component", "list", "--installed", "--toolchain", &self.name]);
        if process::output(&mut list)?.lines().any(|line| line.starts_with(component)) {
            return Ok(());
        }
        eprintln!("adding {component} to {}", self.name);
        process::run(Command::new("rustup").args(["component", "add", component, "--toolchain", &self.name]))
    }

    /// This toolchain's cargo, started in the root of the workspace, free of the caller's toolchain and flags.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = match self.kind {
            Kind::Rustup => {
                let mut command = Command::new("rustup");
                command.args(["run", &self.name, "cargo"]);
                command
            }
            Kind::Debian => {
                let mut command = Command::new(DEBIAN_CARGO);
                // aya-ebpf uses unstable features of the compiler.
                command.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1");
                command
            }
        };
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if ["CARGO_PROFILE_", "CARGO_BUILD_", "CARGO_TARGET_BPF"]
                .iter()
                .any(|start| name.starts_with(start))
            {
                command.env_remove(&*name);
            }
        }
        command
            .current_dir(workspace::root())
            .env_remove("CARGO")
            .env_remove("RUSTFLAGS")
            .env_remove("RUSTUP_TOOLCHAIN")
            // bpf-linker loads LLVM from here.
            .env("LD_LIBRARY_PATH", &self.llvm);
        command
    }

    /// Arguments of cargo that bring `core` for BPF.
    pub(crate) fn build_std(&self) -> &'static [&'static str] {
        match self.kind {
            Kind::Rustup => &["-Z", "build-std=core"],
            Kind::Debian => &[],
        }
    }

    /// The folder of the sources of `core`, whose path the compiler would write into the object.
    pub(crate) fn core_sources(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib/src/rust")
    }
}

/// A folder with Debian's LLVM alone. The system's folder has other versions beside it, and bpf-linker takes the first
/// that it finds.
fn only_llvm(library: &Path) -> Result<PathBuf> {
    let folder = workspace::target()?.join("tools/llvm");
    let link = folder.join("libLLVM.so");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    if fs::read_link(&link).is_ok_and(|target| target == library) {
        return Ok(folder);
    }
    // A link that is already there points to another library, if it is there at all.
    let _ = fs::remove_file(&link);
    symlink(library, &link).with_context(|| link.display().to_string())?;
    Ok(folder)
}

/// The nightlies to try among the lines of `rustup toolchain list`: the pinned one first, then the current one.
fn installed(list: &str) -> Vec<&'static str> {
    let is_there = |name: &str| {
        // A line is the name, the host's triple, and remarks: `nightly-x86_64-unknown-linux-gnu (default)`.
        list.lines().filter_map(|line| line.strip_prefix(name)).any(|rest| {
            let rest = rest.split_whitespace().next().unwrap_or_default();
            rest.is_empty() || rest.strip_prefix('-').is_some_and(|rest| !rest.starts_with("20"))
        })
    };
    [PINNED, "nightly"].into_iter().filter(|name| is_there(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pinned_nightly_goes_first() {
        let list = "stable-x86_64-unknown-linux-gnu (active, default)\nnightly-x86_64-unknown-linux-gnu\n\
            nightly-2026-05-20-x86_64-unknown-linux-gnu";
        assert_eq!(installed(list), [PINNED, "nightly"]);
    }

    #[test]
    fn another_days_nightly_is_not_the_current_one() {
        assert!(
            installed("nightly-2025-01-01-x86_64-unknown-linux-gnu\nstable-x86_64-unknown-linux-gnu")
                .is_empty()
        );
        assert_eq!(installed("nightly-aarch64-unknown-linux-gnu (default)"), ["nightly"]);
    }
}
