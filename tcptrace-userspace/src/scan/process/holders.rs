//! Holders: the processes that have a socket open.

use std::{fs, path::Path};

use tcptrace_core::model::{
    event::HOLDER_READER,
    holders::{Holder, Holders, Source},
};

use super::descriptors;
use crate::bpf::{Held, HoldersError, SocketFiles};

/// Reads the holders, any number of times. It loads the program for the kernel once, which takes longer than reading
/// the holders of thousands of sockets.
pub struct HolderReader(Result<SocketFiles, HoldersError>);

impl HolderReader {
    /// A reader of the better source that works here.
    pub fn open() -> Self {
        Self(SocketFiles::load())
    }

    /// Reads the holders now. The result may have or miss changes that a process makes meanwhile, as with every
    /// snapshot.
    pub fn read(&mut self) -> Holders {
        let _named = Named::as_holder_reader();
        let Ok(files) = &mut self.0 else { return read_holders_of_proc() };
        of_files(|take| files.read_each(take)).unwrap_or_else(|_| read_holders_of_proc())
    }

    /// The reason why the program is not used.
    pub fn refusal(&self) -> Option<&HoldersError> {
        self.0.as_ref().err()
    }
}

/// The calling thread's name, while it has another one.
struct Named(Option<Vec<u8>>);

impl Named {
    /// Renames the thread. Both sources hold each descriptor for a moment, so traces must recognize the thread.
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

/// Reads the holders once, from the better source that works here. A caller that reads them again takes a
/// [`HolderReader`].
pub fn read_holders() -> Holders {
    HolderReader::open().read()
}

/// Reads the holders from `/proc`, though there may be a better source.
pub fn read_holders_of_proc() -> Holders {
    let found = descriptors::read(Path::new("/"));
    Holders::new(found.sockets, found.unreadable, Source::Proc)
}

/// The holders among what `read` hands over; it returns how many records could not be decoded.
fn of_files<E>(read: impl FnOnce(&mut dyn FnMut(Held)) -> Result<usize, E>) -> Result<Holders, E> {
    let mut found = Vec::new();
    let undecodable = read(&mut |held| found.push((held.inode, Holder { pid: held.pid, fd: held.fd })))?;
    Ok(Holders::new(found, undecodable, Source::TaskFile))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tcptrace_core::model::state::State;

    const fn holder(pid: u32, fd: u32) -> Holder {
        Holder { pid, fd }
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
        let read = |take: &mut dyn FnMut(Held)| {
            [held(7, 1), held(8, 2), held(7, 3)].into_iter().for_each(take);
            Ok::<_, HoldersError>(1)
        };
        let holders = of_files(read).expect("holders");
        assert_eq!(holders.of(7), [holder(1, 3), holder(3, 3)]);
        assert_eq!((holders.unreadable(), holders.source()), (1, Source::TaskFile));
    }
}
