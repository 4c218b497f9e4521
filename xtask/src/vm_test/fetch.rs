//! The parts of a virtual machine, fetched once: kernels, tools for the guest, the emulator.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{
    apt::Apt,
    catalogue::{Arch, Kernel},
};

/// The suite that has the guest tools and the emulator.
const TOOLS_SUITE: &str = "trixie";

/// Packages with the tools that the tests start.
const TOOLS: [&str; 5] = ["coreutils", "dash", "iproute2", "mount", "util-linux"];

/// The folder of fetched files, and their source.
pub(crate) struct Store {
    pub(crate) cache: PathBuf,
    pub(crate) mirror: String,
}

impl Store {
    /// The folder of an unpacked kernel: `boot/`, `lib/modules/` or both under `usr/`.
    ///
    /// # Errors
    /// Debian no longer has such a kernel, or the download fails.
    pub(crate) fn kernel(&self, kernel: &Kernel) -> Result<PathBuf> {
        self.once(&format!("kernel-{}", kernel.name), |root| {
            let apt = Apt::open(&self.cache, &self.mirror, kernel.suite, kernel.arch)?;
            let images = apt.names(&format!("linux-image-{}.", kernel.series))?;
            let release =
                newest(&images, &format!("-cloud-{}", kernel.arch.debian())).with_context(|| {
                    format!("Debian {} has no cloud kernel {} any more", kernel.suite, kernel.series)
                })?;
            eprintln!("    kernel {release}");
            // Newer kernels come in parts.
            let parts =
                ["linux-image-", "linux-binary-", "linux-modules-"].map(|part| format!("{part}{release}"));
            let there = apt.names("linux-")?;
            let parts: Vec<String> = parts.into_iter().filter(|part| there.contains(part)).collect();
            apt.unpack(&parts, root)
        })
    }

    /// The folder with `ip`, `ss`, `sh`, `mount`, `setpriv`, `cp` and the libraries that they need, for the guest.
    ///
    /// # Errors
    /// The download fails.
    pub(crate) fn tools(&self, arch: Arch) -> Result<PathBuf> {
        // The folder is named after its packages, so that a folder with fewer packages is not used instead.
        self.once(&format!("{}-{}", TOOLS.join("-"), arch.debian()), |root| {
            eprintln!("    {} for {}", TOOLS.join(", "), arch.debian());
            let apt = Apt::open(&self.cache, &self.mirror, TOOLS_SUITE, arch)?;
            apt.unpack_whole(&TOOLS, root)
        })
    }

    /// The folder with the emulator for machines of `arch`, to run on this one.
    ///
    /// # Errors
    /// The download fails.
    pub(crate) fn emulator(&self, arch: Arch) -> Result<PathBuf> {
        self.once(arch.qemu_package(), |root| {
            eprintln!("    {}", arch.qemu_package());
            let here = if cfg!(target_arch = "aarch64") { Arch::Arm64 } else { Arch::Amd64 };
            let apt = Apt::open(&self.cache, &self.mirror, TOOLS_SUITE, here)?;
            apt.unpack_whole(&[arch.qemu_package()], root)
        })
    }

    /// A folder that is made once. A folder that was not finished is made anew.
    fn once(&self, name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let (root, making) = (self.cache.join(name), self.cache.join(format!("{name}.part")));
        if !root.exists() {
            if making.exists() {
                fs::remove_dir_all(&making)?;
            }
            fs::create_dir_all(&making)?;
            make(&making).with_context(|| format!("fetching {name}"))?;
            fs::rename(&making, &root)?;
        }
        Ok(root)
    }
}

/// The newest release among packages such as `linux-image-6.1.0-50-cloud-amd64` that end with `end`.
fn newest(packages: &[String], end: &str) -> Option<String> {
    let numbers = |release: &str| -> Vec<u64> {
        release.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
    };
    packages
        .iter()
        .filter(|package| package.ends_with(end))
        .filter_map(|package| package.strip_prefix("linux-image-"))
        .max_by_key(|release| numbers(release))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_release_is_found_by_its_numbers() {
        let packages = [
            "linux-image-6.1.0-9-cloud-amd64",
            "linux-image-6.1.0-50-cloud-amd64",
            "linux-image-6.1.0-50-cloud-amd64-unsigned",
            "linux-image-6.1.0-51-amd64",
        ]
        .map(str::to_owned);
        assert_eq!(newest(&packages, "-cloud-amd64").as_deref(), Some("6.1.0-50-cloud-amd64"));
        assert_eq!(newest(&packages, "-cloud-arm64"), None);
    }
}
