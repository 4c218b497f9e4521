//! Finding network namespaces: those of processes, those that are mounted, and our own.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use nix::errno::Errno;
use tcptrace_core::model::{
    self,
    dump::{Gaps, Obstacle, Unseen},
    text::is_netns_name,
};

use super::Netns;
use crate::sys::{host, mountinfo};

/// A namespace to be read.
pub(super) struct Candidate {
    /// Its inode number.
    pub(super) inode: Option<u32>,
    /// The open file, which keeps the namespace alive and lets a thread enter it; `None` for our own, where every
    /// thread begins.
    pub(super) file: Option<File>,
}

/// The namespaces that were found. They exist as long as their candidates.
#[derive(Default)]
pub(super) struct Found {
    /// Our own namespace, if it is requested, is the first.
    pub(super) candidates: Vec<Candidate>,
    pub(super) gaps: Gaps,
}

/// Finds all namespaces, or the requested one.
pub(super) fn find(wanted: Option<&Netns>) -> Found {
    let own = host::own_netns();
    let mut search = Search { wanted: wanted.map(|netns| netns.inode), ..Search::default() };
    if wanted.is_none_or(|netns| Some(netns.inode) == own) {
        search.seen.extend(own);
        search.found.candidates.push(Candidate { inode: own, file: None });
    } else if let Some(Netns { inode, path: Some(path) }) = wanted {
        search.attach(path, *inode);
    }
    if wanted.is_none() || search.found.candidates.is_empty() {
        search.processes();
        search.mounts();
    }
    if wanted.is_some() && !search.found.candidates.is_empty() {
        // Unreadable processes are irrelevant once the requested namespace is found.
        search.found.gaps.unreadable_processes = 0;
    }
    search.found
}

#[derive(Default)]
struct Search {
    wanted: Option<u32>,
    seen: HashSet<u32>,
    found: Found,
}

impl Search {
    fn processes(&mut self) {
        let Ok(entries) = fs::read_dir("/proc") else { return };
        for entry in entries.filter_map(Result::ok) {
            let name = entry.file_name();
            if !name.as_encoded_bytes().iter().all(u8::is_ascii_digit) {
                continue;
            }
            let path = entry.path().join("ns/net");
            match inode_of(&path) {
                Ok(inode) => self.attach(&path, inode),
                Err(error) if is_gone(&error) => {}
                Err(_) => self.found.gaps.unreadable_processes += 1,
            }
        }
    }

    /// Attaches namespaces that a mount keeps alive, without any process: `ip netns add`, container runtimes.
    fn mounts(&mut self) {
        for (inode, path) in mounted_namespaces() {
            self.attach(&path, inode);
        }
    }

    /// Opens a namespace at once, since the process that keeps it alive may end any time.
    fn attach(&mut self, path: &Path, inode: u32) {
        if self.wanted.is_some_and(|wanted| wanted != inode) || self.seen.contains(&inode) {
            return;
        }
        match File::open(path) {
            // The path may lead to another namespace by now: the open file counts.
            Ok(file) if file.metadata().is_ok_and(|now| now.ino() == u64::from(inode)) => {
                self.seen.insert(inode);
                self.found.candidates.push(Candidate { inode: Some(inode), file: Some(file) });
            }
            Ok(_) => {}
            Err(error) if is_gone(&error) => {}
            Err(error) => {
                self.seen.insert(inode);
                let obstacle = Obstacle::Open(model::errno::Errno(error.raw_os_error().unwrap_or(0)));
                self.found.gaps.namespaces.push(Unseen { netns: Some(inode), obstacle });
            }
        }
    }
}

fn inode_of(path: &Path) -> io::Result<u32> {
    u32::try_from(fs::metadata(path)?.ino()).map_err(io::Error::other)
}

/// Whether a process ended just now.
fn is_gone(error: &io::Error) -> bool {
    matches!(errno(error), Errno::ENOENT | Errno::ESRCH)
}

fn errno(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw)
}

fn mounted_namespaces() -> Vec<(u32, PathBuf)> {
    // Paths in it need not be UTF-8.
    let mounts = fs::read("/proc/thread-self/mountinfo").unwrap_or_default();
    mounts.split(|byte| *byte == b'\n').filter_map(mounted_namespace).collect()
}

/// The names by which `ip netns exec` enters namespaces, by their inode numbers.
pub(crate) fn namespace_names() -> HashMap<u32, String> {
    let mounted = mounted_namespaces().into_iter();
    mounted.filter_map(|(inode, path)| Some((inode, netns_name(&path)?))).collect()
}

/// The name of a namespace that `ip netns` has mounted there, if a shell takes the name without quotes.
fn netns_name(path: &Path) -> Option<String> {
    let directory = path.parent()?;
    let name = path.file_name()?.to_str()?;
    let is_there = directory == Path::new("/run/netns") || directory == Path::new("/var/run/netns");
    (is_there && is_netns_name(name)).then(|| name.to_owned())
}

/// Inode number and mount point of a network namespace, from a line of `/proc/PID/mountinfo` (`proc_pid_mountinfo(5)`).
/// The root of its mount is `net:[INODE]`.
fn mounted_namespace(line: &[u8]) -> Option<(u32, PathBuf)> {
    let mut fields = line.split(|byte| *byte == b' ').skip(3);
    let root = str::from_utf8(fields.next()?).ok()?;
    let inode = root.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok()?;
    Some((inode, mountinfo::path(fields.next()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_shell_takes() {
        let name = |path: &str| netns_name(Path::new(path));
        assert_eq!(name("/run/netns/blue-1.a_b").as_deref(), Some("blue-1.a_b"));
        assert_eq!(name("/var/run/netns/blue").as_deref(), Some("blue"));
        for path in ["/run/netns/a b", "/run/netns/$(x)", "/run/netns/-n", "/run/docker/netns/blue", "/"] {
            assert_eq!(name(path), None, "{path}");
        }
    }

    #[test]
    fn mounts_of_network_namespaces() {
        let line = |root: &str, place: &str| {
            format!("41 22 0:4 {root} {place} rw shared:12 - nsfs nsfs rw").into_bytes()
        };
        assert_eq!(
            mounted_namespace(&line("net:[4026532177]", r"/run/netns/a\040b\134c")),
            Some((4_026_532_177, PathBuf::from("/run/netns/a b\\c")))
        );
        for other in ["mnt:[4026532178]", "/", "net:[]", "net:[-1]", "net:[4026532177"] {
            assert_eq!(mounted_namespace(&line(other, "/run/x")), None, "{other}");
        }
        assert_eq!(mounted_namespace(b""), None);
        assert_eq!(mounted_namespace(b"1 2 3 net:[1]"), None);
    }
}
