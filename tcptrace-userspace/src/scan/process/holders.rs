//! Which process holds which socket open.

use std::{fmt, fs, path::Path};

use super::descriptors;
use crate::{
    bpf::{Held, HoldersError, SocketFiles},
    model::event::HOLDER_READER,
};

/// One descriptor of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Holder {
    /// Process id (thread group).
    pub pid: u32,
    /// Number of the descriptor; of a thread's own table where the thread has one.
    pub fd: u32,
}

/// How holders were found out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Source {
    /// By a program that the kernel runs on every descriptor. It sees all processes, and sockets of TCP only.
    TaskFile,
    /// By the names of all descriptors, `/proc/PID/fd`. It sees the processes that this one may look into, and sockets
    /// of every kind.
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

/// Reads the holders, as often as wanted: what the kernel needs for it is loaded once, which takes longer than to read
/// those of thousands of sockets.
pub struct HolderReader(Result<SocketFiles, HoldersError>);

impl HolderReader {
    /// One that takes the better source that works here.
    pub fn open() -> Self {
        Self(SocketFiles::load())
    }

    /// Asks the host. What one process does meanwhile may be seen or not, as with every snapshot.
    pub fn read(&mut self) -> Holders {
        let _named = Named::as_holder_reader();
        match self.0.as_mut().map(SocketFiles::read) {
            Ok(Ok((held, undecodable))) => Holders::of_held(&held, undecodable),
            Ok(Err(_)) | Err(_) => Holders::read_proc(),
        }
    }

    /// Why the program is not used.
    pub fn refusal(&self) -> Option<&HoldersError> {
        self.0.as_ref().err()
    }
}

/// The calling thread's name, while it has another one.
struct Named(Option<Vec<u8>>);

impl Named {
    /// Both sources hold each descriptor for a moment, so that traces have to know the thread.
    fn as_holder_reader() -> Self {
        let before = fs::read(THREAD_NAME).ok();
        let _ = fs::write(THREAD_NAME, HOLDER_READER);
        Self(before)
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        if let Some(name) = &self.0 {
            let _ = fs::write(THREAD_NAME, name.strip_suffix(b"\n").unwrap_or(name));
        }
    }
}

/// Where a thread reads and writes its own name (`proc_pid_comm(5)`).
const THREAD_NAME: &str = "/proc/thread-self/comm";

/// Who holds which socket open, by the socket's inode. All holders are kept: a child inherits its parent's
/// descriptors, and any process may pass one to another (`SCM_RIGHTS`).
///
/// Some sockets have no holder, though they live: those that no program has accepted yet, those that the program has
/// closed, the kernel's own, and those that no table of descriptors has at the moment, since they are on their way to
/// another process or registered with `io_uring`. A subflow of MPTCP has the inode of the socket that the program has,
/// and so its holders.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Holders {
    /// Sorted; at the same place in `by_inode` is who holds it.
    inodes: Vec<u64>,
    by_inode: Vec<Holder>,
    /// What nobody asks for, and captures have in this place.
    #[serde(with = "nothing")]
    unused: (),
    unreadable: usize,
    source: Source,
}

/// An empty list, whatever is in it.
mod nothing {
    use serde::{Deserialize as _, Deserializer, Serializer, de::IgnoredAny};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
    pub(super) fn serialize<S: Serializer>((): &(), serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq([(); 0])
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| ())
    }
}

impl Holders {
    /// Asks the host once, by the better source that works here. Who asks again takes a [`HolderReader`].
    pub fn read() -> Self {
        HolderReader::open().read()
    }

    /// Asks `/proc`, though there may be a better source.
    pub fn read_proc() -> Self {
        let found = descriptors::read(Path::new("/"));
        Self::new(found.sockets, found.unreadable, Source::Proc)
    }

    fn of_held(held: &[Held], undecodable: usize) -> Self {
        let found = held.iter().map(|held| (held.inode, Holder { pid: held.pid, fd: held.fd })).collect();
        Self::new(found, undecodable, Source::TaskFile)
    }

    fn new(mut found: Vec<(u64, Holder)>, unreadable: usize, source: Source) -> Self {
        found.sort_unstable();
        // Threads that share a table of their own show it once each.
        found.dedup();
        let (inodes, by_inode) = found.into_iter().unzip();
        Self { inodes, by_inode, unused: (), unreadable, source }
    }

    /// Those who hold the socket with this inode, by process and descriptor. The kernel says 0 of a socket that has
    /// none, which therefore is nobody's.
    pub fn of(&self, inode: u64) -> &[Holder] {
        if inode == 0 {
            return &[];
        }
        let start = self.inodes.partition_point(|other| *other < inode);
        let count = self.inodes[start..].partition_point(|other| *other == inode);
        // A capture that was tampered with may have fewer of these.
        self.by_inode.get(start..start + count).unwrap_or_default()
    }

    /// How much could not be read, at least: processes that may not be looked into, or records of the program that
    /// make no sense. Sockets without a holder may be theirs.
    pub fn unreadable(&self) -> usize {
        self.unreadable
    }

    /// Where this comes from.
    pub fn source(&self) -> Source {
        self.source
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::state::State;

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

    #[test]
    fn a_thread_has_its_name_back() {
        let name = || fs::read_to_string(THREAD_NAME).expect("a name");
        let before = name();
        let named = Named::as_holder_reader();
        assert_eq!(name().trim_end(), HOLDER_READER);
        drop(named);
        assert_eq!(name(), before);
    }

    #[test]
    fn what_the_program_tells() {
        let held = |inode, pid| Held {
            inode,
            cookie: None,
            skaddr: 1,
            netns: None,
            lport: 80,
            state: State::LISTEN,
            multipath: false,
            pid,
            fd: 3,
        };
        let holders = Holders::of_held(&[held(7, 1), held(8, 2), held(7, 3)], 1);
        assert_eq!(holders.of(7), [holder(1, 3), holder(3, 3)]);
        assert_eq!((holders.unreadable(), holders.source()), (1, Source::TaskFile));
    }
}
