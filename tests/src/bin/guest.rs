//! `init` of a virtual machine: mounts the file systems, loads the modules, runs the tests, switches off.
//!
//! Its output on the console is for `cargo xtask vm-test`: lines of the test harness, and around each test program
//! `## begin NAME` and `## end NAME: STATUS`; before them `## doctor` and the report of `tcptrace doctor`.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

use nix::{
    kmod::{ModuleInitFlags, finit_module},
    mount::{MsFlags, mount},
    sys::reboot::{RebootMode, reboot},
    unistd::sync,
};

/// File systems and their mount points. A file system that a kernel does not have is left out.
const MOUNTS: [(&str, &str); 6] = [
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("tmpfs", "/tmp"),
    ("cgroup2", "/sys/fs/cgroup"),
    ("tracefs", "/sys/kernel/tracing"),
];

/// The PATH of the guest. The one that the kernel sets is different.
const PATH: &str = "/usr/sbin:/usr/bin";

fn main() {
    assert_eq!(std::process::id(), 1, "this is the first process of a virtual machine");
    if let Err(error) = run() {
        println!("## failed: {error}");
    }
    println!("## power off");
    sync();
    // Returns only if it fails. Then the kernel panics, since its first process ends.
    let _ = reboot(RebootMode::RB_POWER_OFF);
}

fn run() -> io::Result<()> {
    for (kind, place) in MOUNTS {
        if let Err(error) = mount(Some(kind), place, Some(kind), MsFlags::empty(), None::<&str>) {
            println!("## no {kind}: {error}");
        }
    }
    // The mounts of hosts that use both versions of cgroups.
    fs::create_dir("/run/cgroup")?;
    mount(Some("cgroup"), "/run/cgroup", Some("cgroup"), MsFlags::empty(), Some("none,name=systemd"))?;
    println!("## {}", fs::read_to_string("/proc/version")?.trim_end());
    for module in sorted("/modules")? {
        let file = fs::File::open(&module)?;
        finit_module(&file, c"", ModuleInitFlags::empty()).map_err(|errno| named(&module, errno))?;
    }
    tool(Command::new("ip").args(["link", "set", "lo", "up"]))?;
    // The strictest level of the upstream kernel: Debian's 5.10 has a stricter one, which requires CAP_SYS_ADMIN.
    fs::write("/proc/sys/kernel/perf_event_paranoid", "2")?;
    let doctor = Command::new("tcptrace").args(["doctor", "-o", "json"]).env("PATH", PATH).output()?;
    println!("## doctor {}", String::from_utf8_lossy(&doctor.stdout).trim_end());
    for test in sorted("/tests")? {
        let name = test.file_name().unwrap_or_default().to_string_lossy().into_owned();
        println!("## begin {name}");
        let status = tool(&mut Command::new(&test))?;
        println!("## end {name}: {status}");
    }
    Ok(())
}

fn tool(command: &mut Command) -> io::Result<ExitStatus> {
    command.env("PATH", PATH).status()
}

fn named(path: &Path, errno: nix::Error) -> io::Error {
    io::Error::other(format!("{}: {errno}", path.display()))
}

fn sorted(folder: &str) -> io::Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?;
    paths.sort();
    Ok(paths)
}
