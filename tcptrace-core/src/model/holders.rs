//! The processes that hold sockets open.

use std::fmt;

/// One descriptor of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// Process id (thread group).
    pub pid: u32,
    /// Number of the descriptor, in the thread's own table where the thread has one.
    pub fd: u32,
}

/// The source of the holders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// A program that the kernel runs on every descriptor. It sees all processes, but only TCP sockets.
    TaskFile,
    /// The names of all descriptors, `/proc/PID/fd`. They show the processes that tcptrace may read, and sockets of every
    /// kind.
    #[default]
    Proc,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::TaskFile => "iter/task_file",
            Self::Proc => "/proc",
        })
    }
}

/// Processes that hold sockets open, by the socket's inode. All holders are kept: a child inherits its parent's
/// descriptors, and any process may pass one to another (`SCM_RIGHTS`).
///
/// Some sockets have no holder, though they live: those that no program has accepted yet, those that the program has
/// closed, the kernel's own, and those that no table of descriptors has at the moment, since they are on their way to
/// another process or registered with `io_uring`. A subflow of MPTCP has the inode of the socket that the program has,
/// and so its holders.
#[derive(Clone, Debug, Default)]
pub struct Holders {
    /// Sorted inodes. The holder of each is at the same place in `by_inode`.
    pub(crate) inodes: Vec<u64>,
    pub(crate) by_inode: Vec<Holder>,
    pub(crate) unreadable: usize,
    pub(crate) source: Source,
}

impl Holders {
    /// The holders of sockets, given as pairs of the socket's inode and one of its holders.
    pub fn new(mut found: Vec<(u64, Holder)>, unreadable: usize, source: Source) -> Self {
        found.sort_unstable();
        // Threads that share a table of their own report it once each.
        found.dedup();
        let (inodes, by_inode) = found.into_iter().unzip();
        Self { inodes, by_inode, unreadable, source }
    }

    /// The holders of the socket with this inode, by process and descriptor. The kernel reports inode 0 for a socket without
    /// an inode; such a socket has no holder.
    pub fn of(&self, inode: u64) -> &[Holder] {
        if inode == 0 {
            return &[];
        }
        let start = self.inodes.partition_point(|other| *other < inode);
        let count = self.inodes[start..].iter().take_while(|other| **other == inode).count();
        // A capture that was tampered with may have fewer holders than inodes.
        self.by_inode.get(start..start + count).unwrap_or_default()
    }

    /// Lower limit of what could not be read: processes that tcptrace may not read, or records of the program that make no
    /// sense. Sockets without a holder may belong to them.
    pub fn unreadable(&self) -> usize {
        self.unreadable
    }

    /// The source of the holders.
    pub fn source(&self) -> Source {
        self.source
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn holder(pid: u32, fd: u32) -> Holder {
        Holder { pid, fd }
    }

    #[test]
    fn all_holders_of_a_socket_and_no_others() {
        let found = vec![(7, holder(2, 3)), (9, holder(1, 4)), (7, holder(1, 3)), (7, holder(2, 3))];
        let holders = Holders::new(found, 0, Source::Proc);
        assert_eq!(holders.of(7), [holder(1, 3), holder(2, 3)]);
        assert_eq!(holders.of(9), [holder(1, 4)]);
        for nobodys in [0, 6, 8, 10, u64::MAX] {
            assert_eq!(holders.of(nobodys), [], "{nobodys}");
        }
        let holders = Holders::new(vec![(0, holder(1, 1))], 0, Source::Proc);
        assert_eq!(holders.of(0), [], "0 is no inode");
    }

    #[test]
    fn a_forged_list_has_nobody() {
        let forged = Holders { inodes: vec![7], ..Holders::default() };
        assert_eq!(forged.of(7), []);
    }
}
