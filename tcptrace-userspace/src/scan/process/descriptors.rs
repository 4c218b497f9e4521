//! The descriptors of all processes, from `/proc`.
//!
//! It reads the files itself. The crate `procfs` makes a structure of every descriptor of every kind, and does not know
//! the tables of single threads. Most of the time goes into one `readlink` for each descriptor in any case.

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    os::unix::ffi::OsStrExt as _,
    path::Path,
};

use nix::{errno::Errno, fcntl::readlinkat};
use tcptrace_core::model::holders::Holder;

use crate::bpf::shares_descriptors;

/// The descriptors that were found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Inodes of sockets of any kind, and their holders.
    pub(super) sockets: Vec<(u64, Holder)>,
    /// Processes of which something could not be read.
    pub(super) unreadable: usize,
}

/// Reads the descriptors of all processes in `/proc` below `root`.
pub(super) fn read(root: &Path) -> Found {
    let mut found = Found::default();
    let proc = root.join("proc");
    let Ok(pids) = numbers(&proc) else { return Found { unreadable: 1, ..found } };
    // Where /proc is mounted with hidepid, a reader that does not see process 1 does not see others either.
    if !pids.contains(&1) {
        found.unreadable += 1;
    }
    for pid in pids {
        let outcome = process(&proc.join(pid.to_string()), pid, &mut found.sockets);
        if outcome.is_err_and(|error| !is_gone(&error)) {
            found.unreadable += 1;
        }
    }
    found
}

/// Reads one process. Its threads share one table, unless one of them has left it (`unshare(CLONE_FILES)`).
fn process(directory: &Path, pid: u32, sockets: &mut Vec<(u64, Holder)>) -> io::Result<()> {
    let mut outcome = Ok(());
    for tid in numbers(&directory.join("task"))? {
        if tid == pid || !shares_descriptors(pid, tid) {
            match table(&directory.join(format!("task/{tid}/fd")), pid, sockets) {
                Err(error) if !is_gone(&error) => outcome = Err(error),
                _ => {}
            }
        }
    }
    outcome
}

/// Reads one table of descriptors.
fn table(directory: &Path, pid: u32, sockets: &mut Vec<(u64, Holder)>) -> io::Result<()> {
    let handle = File::open(directory)?;
    for fd in numbers(directory)? {
        match readlinkat(&handle, fd.to_string().as_str()) {
            Ok(target) => {
                let inode = inode(target.as_bytes(), "socket");
                sockets.extend(inode.map(|inode| (inode, Holder { pid, fd })));
            }
            // Closed meanwhile.
            Err(Errno::ENOENT) => {}
            // The kernel returns this of a task that has ended as well (`proc_pid_readlink()`).
            Err(Errno::EACCES) if !directory.exists() => return Ok(()),
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// The inode in a link such as `socket:[12345]`.
pub(super) fn inode<N: std::str::FromStr>(link: &[u8], kind: &str) -> Option<N> {
    let number = str::from_utf8(link).ok()?.strip_prefix(kind)?.strip_prefix(":[")?.strip_suffix(']')?;
    number.parse().ok()
}

/// The names in a directory that are numbers.
fn numbers(directory: &Path) -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(directory)? {
        numbers.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    Ok(numbers)
}

/// Whether a process or thread ended before or during its read. That is no gap.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(Errno::ESRCH as i32)
}

#[cfg(test)]
mod tests;
