//! A separate instance of tracefs: a log of kernel events for one test.

use std::{
    fs,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    mount::{MntFlags, MsFlags, mount, umount2},
};
use tempfile::TempDir;

/// A folder that every usable tracefs has.
const EVENTS: &str = "events/sock/inet_sock_set_state";

/// A tracefs instance; removed when dropped.
#[derive(Debug)]
pub struct Instance {
    path: PathBuf,
    _mount: Option<Mount>,
}

/// A mount of tracefs by the test.
#[derive(Debug)]
struct Mount(TempDir);

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = umount2(self.0.path(), MntFlags::MNT_DETACH);
    }
}

impl Instance {
    /// Makes an instance with `buffer_kib` on each CPU and the monotonic clock. `name` must be unique among the tests
    /// that run now.
    pub fn new(name: &str, buffer_kib: u32) -> Self {
        let (root, mount) = tracefs();
        let path = root.join("instances").join(format!("tcptrace-test-{name}"));
        // The instance is left over from a test that was killed; this test has its slot now.
        remove(&path);
        fs::create_dir(&path).expect("an instance of tracefs");
        let this = Self { path, _mount: mount };
        this.set("buffer_size_kb", &buffer_kib.to_string());
        this.set("trace_clock", "mono");
        this
    }

    /// Writes to a file. An instance fails with "no such device" for moments in which another one is made or removed.
    pub fn set(&self, file: &str, value: &str) {
        let path = self.path.join(file);
        let deadline = Instant::now() + Duration::from_secs(2);
        while let Err(error) = fs::write(&path, value) {
            let passing = error.raw_os_error() == Some(Errno::ENODEV as i32) && Instant::now() < deadline;
            assert!(passing, "{}: {error}", path.display());
            sleep(Duration::from_millis(5));
        }
    }

    /// The content of a file, if it exists.
    pub fn get(&self, file: &str) -> Option<String> {
        let bytes = fs::read(self.path.join(file)).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The log so far, complete.
    pub fn log(&self) -> String {
        for name in ["overrun:", "commit overrun:", "dropped events:"] {
            assert_eq!(self.statistics(name), 0, "tracefs lost events ({name}): its buffer is too small");
        }
        self.get("trace").expect("tracefs' trace")
    }

    /// The number of events recorded so far; cheap.
    pub fn entries(&self) -> u64 {
        self.statistics("entries:")
    }

    fn statistics(&self, name: &str) -> u64 {
        let cpus = fs::read_dir(self.path.join("per_cpu")).expect("tracefs' per_cpu");
        cpus.map(|cpu| {
            let stats = fs::read_to_string(cpu.expect("a CPU").path().join("stats")).expect("stats of a CPU");
            let value = stats.lines().find_map(|line| line.strip_prefix(name)).expect(name);
            value.trim().parse::<u64>().expect("a number")
        })
        .sum()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = fs::write(self.path.join("events/enable"), "0");
        remove(&self.path);
    }
}

/// Removes an instance. It is busy while a process that another thread starts still has copies of this process'
/// descriptors.
fn remove(instance: &Path) {
    let deadline = Instant::now() + Duration::from_secs(2);
    while instance.exists() && fs::remove_dir(instance).is_err() && Instant::now() < deadline {
        sleep(Duration::from_millis(5));
    }
}

/// The folder of tracefs; mounted for as long as needed if it is not mounted.
fn tracefs() -> (PathBuf, Option<Mount>) {
    for place in ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"] {
        if Path::new(place).join(EVENTS).exists() {
            return (PathBuf::from(place), None);
        }
    }
    let directory = TempDir::new().expect("a directory to mount tracefs on");
    mount(Some("tracefs"), directory.path(), Some("tracefs"), MsFlags::empty(), None::<&str>)
        .expect("mounting tracefs");
    (directory.path().to_owned(), Some(Mount(directory)))
}

/// The time of an event of the log in nanoseconds: the last word before its name, in seconds with six digits.
pub fn ktime_ns(head: &str) -> Option<u64> {
    let (seconds, micros) = head.rsplit(' ').next()?.split_once('.')?;
    let (seconds, micros): (u64, u64) = (seconds.parse().ok()?, micros.parse().ok()?);
    Some(seconds * 1_000_000_000 + micros * 1_000)
}
