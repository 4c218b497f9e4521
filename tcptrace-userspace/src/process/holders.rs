//! Which process holds which socket open.

use std::path::Path;

use super::descriptors;

/// One descriptor of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// Process id (thread group).
    pub pid: u32,
    /// Number of the descriptor; of a thread's own table where the thread has one.
    pub fd: u32,
}

/// Who holds which socket open, by the socket's inode. All holders are kept: a child inherits its parent's
/// descriptors, and any process may pass one to another (`SCM_RIGHTS`).
///
/// Three kinds of sockets have no holder, though they live: those that no program has accepted yet, those that the
/// program has closed, and those that are on their way to another process or registered with `io_uring` while no
/// table of descriptors has them.
#[derive(Clone, Debug, Default)]
pub struct Holders {
    /// Sorted; at the same place in `by_inode` is who holds it.
    inodes: Vec<u64>,
    by_inode: Vec<Holder>,
    unreadable: usize,
}

impl Holders {
    /// Asks the host. What one process does meanwhile may be seen or not, as with every snapshot.
    pub fn read() -> Self {
        let found = descriptors::read(Path::new("/"));
        Self::new(found.sockets, found.unreadable)
    }

    fn new(mut found: Vec<(u64, Holder)>, unreadable: usize) -> Self {
        found.sort_unstable();
        // Threads that share a table of their own show it once each.
        found.dedup();
        let (inodes, by_inode) = found.into_iter().unzip();
        Self { inodes, by_inode, unreadable }
    }

    /// Those who hold the socket with this inode, by process and descriptor. The kernel says 0 of a socket that has
    /// none, which therefore is nobody's.
    pub fn of(&self, inode: u64) -> &[Holder] {
        if inode == 0 {
            return &[];
        }
        let start = self.inodes.partition_point(|other| *other < inode);
        let count = self.inodes[start..].partition_point(|other| *other == inode);
        &self.by_inode[start..start + count]
    }

    /// How many processes could not be looked into, at least: sockets without a holder may be theirs.
    pub fn unreadable(&self) -> usize {
        self.unreadable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_holders_of_a_socket_and_no_others() {
        let holder = |pid, fd| Holder { pid, fd };
        let found = vec![(7, holder(2, 3)), (9, holder(1, 4)), (7, holder(1, 3)), (7, holder(2, 3))];
        let holders = Holders::new(found, 0);
        assert_eq!(holders.of(7), [holder(1, 3), holder(2, 3)]);
        assert_eq!(holders.of(9), [holder(1, 4)]);
        for nobodys in [0, 6, 8, 10, u64::MAX] {
            assert_eq!(holders.of(nobodys), [], "{nobodys}");
        }
        assert_eq!(Holders::new(vec![(0, holder(1, 1))], 0).of(0), [], "0 is no inode");
    }
}
