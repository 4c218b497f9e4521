//! The identity of one process, from `/proc`.

use std::{fs, io, os::unix::ffi::OsStringExt as _, path::Path};

use nix::libc::{ENOENT, ESRCH};
use tcptrace_core::model::process::Process;

use super::{cgroup, descriptors::inode};

/// Suffix that `d_path()` in the kernel adds to the path of a file that has no name any more.
const DELETED: &[u8] = b" (deleted)";

/// The path of the process' program now. A process that ends loses it first.
pub(super) fn exe(proc: &Path, pid: u32) -> Option<Vec<u8>> {
    link(&proc.join(pid.to_string()), "exe")
}

/// Reads everything but the fields of `head`. `exe` is the result of [`exe`] before that. `None` when too little could
/// be read before the process ended.
pub(super) fn read(proc: &Path, pid: u32, head: &Head, exe: Option<Vec<u8>>) -> Option<Process> {
    let directory = proc.join(pid.to_string());
    let read = |name: &str| fs::read(directory.join(name)).ok();
    // Reads first what a process that ends loses first. Its other threads may still have what its main thread has lost.
    let of_threads = |name: &str| {
        let threads = head.exiting.then(|| fs::read_dir(directory.join("task")).ok()).flatten();
        threads.into_iter().flatten().flatten().find_map(|thread| link(&thread.path(), name))
    };
    let link = |name: &str| link(&directory, name).or_else(|| of_threads(name));
    // A process that has no program any more had `exe` a moment ago.
    let (exe, exe_deleted) = match link("exe").or(exe) {
        Some(mut exe) if exe.ends_with(DELETED) => {
            exe.truncate(exe.len() - DELETED.len());
            (Some(exe), true)
        }
        exe => (exe, false),
    };
    let uid = uid(&read("status")?)?;
    let (unit, container) =
        read("cgroup").map_or((None, None), |cgroups| cgroup::identify(&String::from_utf8_lossy(&cgroups)));
    let process = Process {
        pid,
        start_ticks: head.start_ticks,
        comm: head.comm.clone(),
        exe,
        exe_deleted,
        uid,
        unit,
        container,
        netns: link("ns/net").and_then(|link| inode(&link, "net")),
    };
    // Otherwise these values are of two processes, or of two programs. The values of a process that has ended meanwhile
    // are of one: the kernel does not reuse an id so soon.
    Head::read(proc, pid).map_or(true, |now| now.continues(head)).then_some(process)
}

fn link(directory: &Path, name: &str) -> Option<Vec<u8>> {
    Some(fs::read_link(directory.join(name)).ok()?.into_os_string().into_vec())
}

/// Whether a file of `/proc/PID` could not be read because there is no such process, or none that may be seen (`hidepid`).
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(ENOENT | ESRCH))
}

/// The real user id in `/proc/PID/status`, in the reader's user namespace.
fn uid(status: &[u8]) -> Option<u32> {
    let line = status.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"Uid:"))?;
    str::from_utf8(line).ok()?.split_ascii_whitespace().next()?.parse().ok()
}

/// The part of `/proc/PID/stat` that shows whether a process is still the same one and runs the same program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Field 22.
    pub(super) start_ticks: u64,
    /// The name, which `execve()` sets.
    comm: Vec<u8>,
    /// Fields 26 to 28: addresses of the program's code and of the stack. They change with `execve()`, also to a
    /// program of the same name. A reader without the permission to access the process reads zeros.
    memory: [u64; 3],
    /// From field 9: the main thread is ending, or has ended. The values from before still hold, though its memory is
    /// gone.
    exiting: bool,
    /// All threads have ended, and the parent has not waited for the process yet: fields 3 and 20.
    pub(super) is_zombie: bool,
}

/// `PF_EXITING`, `include/linux/sched.h`.
const PF_EXITING: u32 = 0x0000_0004;

impl Head {
    /// Whether it is the same process, running the same program as `before`, though maybe under another name; or the
    /// same process as it ends.
    fn continues(&self, before: &Self) -> bool {
        // Where the memory is gone, only the name can still show another program.
        let has_lost_it = || self.exiting && self.memory == [0; 3] && self.comm == before.comm;
        self.start_ticks == before.start_ticks && (self.memory == before.memory || has_lost_it())
    }

    /// Whether the values that were read with `before` still hold.
    pub(super) fn changes_nothing(&self, before: &Self) -> bool {
        self.continues(before) && (self.exiting || self.comm == before.comm)
    }

    /// # Errors
    /// Nothing could be read. [`is_absent`] checks whether the reason is that there is no such process.
    pub(super) fn read(proc: &Path, pid: u32) -> io::Result<Self> {
        let stat = fs::read(proc.join(format!("{pid}/stat")))?;
        Self::parse(&stat).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// The name may contain anything, also parentheses. The fields after it contain none.
    fn parse(stat: &[u8]) -> Option<Self> {
        let (start, end) =
            (stat.iter().position(|byte| *byte == b'(')?, stat.iter().rposition(|byte| *byte == b')')?);
        let comm = stat.get(start + 1..end)?.to_vec();
        // The first one is field 3.
        let fields: Vec<&str> = str::from_utf8(&stat[end + 1..]).ok()?.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse().ok();
        let flags: u32 = fields.get(9 - 3)?.parse().ok()?;
        // While other threads live, the process of a main thread that has ended lives.
        let is_alone = fields.get(20 - 3)?.parse::<i64>().is_ok_and(|threads| threads <= 1);
        Some(Self {
            start_ticks: field(22)?,
            is_zombie: is_alone && matches!(fields.first(), Some(&("Z" | "X"))),
            comm,
            memory: [field(26)?, field(27)?, field(28)?],
            exiting: flags & PF_EXITING != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_forge_the_fields_behind_it() {
        let tail = "S 1 2 3 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 9 10 11 12 13 14 15 0";
        for name in ["nginx", ") R 1", "a (b) c", "", ") S 1 1 1 0 -1 0 1 1 1 1 1 1 1 1 1 0 1 0 1"] {
            let head = Head::parse(format!("77 ({name}) {tail}\n").as_bytes()).unwrap();
            assert_eq!((head.start_ticks, head.memory), (4711, [12, 13, 14]), "{name:?}");
            assert_eq!(head.comm, name.as_bytes());
        }
    }

    #[test]
    fn what_is_no_stat_is_refused() {
        for stat in ["", "77", "77 (", "77 )(", "77 (x)", "77 (x) S 1 2", "77 (x) S \u{fffd}"] {
            assert_eq!(Head::parse(stat.as_bytes()), None, "{stat:?}");
        }
    }

    #[test]
    fn the_real_user_id() {
        assert_eq!(uid(b"Name:\tUid: 7\nUid:\t33\t0\t33\t33\nGid:\t1\t1\t1\t1\n"), Some(33));
        assert_eq!(uid(b"Uid:\t-1\n"), None);
        assert_eq!(uid(b"Name:\tx\n"), None);
    }
}
