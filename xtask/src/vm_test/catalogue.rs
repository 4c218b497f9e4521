//! The kernels that are tested.

use std::fmt;

use anyhow::{Result, bail};

/// A processor architecture, with its names at Debian, Rust and QEMU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arch {
    Amd64,
    Arm64,
}

impl Arch {
    pub(crate) const fn debian(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    pub(crate) const fn target(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-musl",
            Self::Arm64 => "aarch64-unknown-linux-musl",
        }
    }

    /// Debian's package of the emulator.
    pub(crate) const fn qemu_package(self) -> &'static str {
        match self {
            Self::Amd64 => "qemu-system-x86",
            Self::Arm64 => "qemu-system-arm",
        }
    }

    /// The emulator, its options for the machine, and the name of the serial console.
    pub(crate) const fn qemu(self) -> (&'static str, &'static [&'static str], &'static str) {
        match self {
            Self::Amd64 => ("qemu-system-x86_64", &["-nodefaults"], "ttyS0"),
            Self::Arm64 => ("qemu-system-aarch64", &["-machine", "virt"], "ttyAMA0"),
        }
    }
}

/// A kernel of Debian's for clouds: small, and with BTF, tracefs and all that tcptrace uses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kernel {
    /// The name on the command line.
    pub(crate) name: &'static str,
    /// The first two numbers of its version.
    pub(crate) series: &'static str,
    /// Debian's suite that has the kernel.
    pub(crate) suite: &'static str,
    pub(crate) arch: Arch,
    /// Tests that the kernel's version or configuration rules out.
    pub(crate) lacks: &'static [&'static str],
    /// Test programs that cannot work there: before 5.15 a SYN has no network namespace, and all of these tests filter
    /// by it.
    pub(crate) without: &'static [&'static str],
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Linux {} {}", self.series, self.arch.debian())
    }
}

const AMD64: Kernel = Kernel { name: "", series: "", suite: "", arch: Arch::Amd64, lacks: &[], without: &[] };

/// Tests that 5.10 rules out: CONFIG_MPTCP is not set; before 5.11 no program runs on descriptors, and maps count as
/// locked memory; before 6.8 `sock_diag(7)` does not report bound sockets.
const LACKS_5_10: [&str; 7] = [
    "mptcp",
    "mptcp_subflows",
    "a_multipath_connection",
    "where_the_program_does_not_work_it_says_why",
    "another_users_process_by_two_capabilities",
    "two_capabilities_are_enough",
    "bound_sockets",
];

/// The oldest kernel that the tracer supports, the long-term ones in between, the newest, and one of another
/// architecture.
pub(crate) const KERNELS: [Kernel; 5] = [
    Kernel {
        name: "5.10",
        series: "5.10",
        suite: "bullseye",
        lacks: &LACKS_5_10,
        without: &["half_open"],
        ..AMD64
    },
    Kernel { name: "6.1", series: "6.1", suite: "bookworm", lacks: &["bound_sockets"], ..AMD64 },
    Kernel { name: "6.12", series: "6.12", suite: "trixie", ..AMD64 },
    Kernel { name: "7.2", series: "7.2", suite: "sid", ..AMD64 },
    Kernel { name: "6.12-arm64", series: "6.12", suite: "trixie", arch: Arch::Arm64, ..AMD64 },
];

/// The kernels with these names; all if there are no names.
///
/// # Errors
/// A name is unknown.
pub(crate) fn select(names: &[String]) -> Result<Vec<Kernel>> {
    let known = || KERNELS.map(|kernel| kernel.name).join(", ");
    for name in names {
        if !KERNELS.iter().any(|kernel| kernel.name == name) {
            bail!("no kernel '{name}': there are {}", known());
        }
    }
    let wanted = |kernel: &Kernel| names.is_empty() || names.iter().any(|name| name == kernel.name);
    Ok(KERNELS.into_iter().filter(wanted).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_selected_by_name() {
        let names = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            select(&names).map(|kernels| kernels.iter().map(|kernel| kernel.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&["7.2", "5.10"]).expect("known"), ["5.10", "7.2"]);
        assert_eq!(names(&[]).expect("all").len(), KERNELS.len());
        assert!(names(&["2.4"]).expect_err("unknown").to_string().contains("6.12-arm64"));
    }
}
