//! Dumps of the kernel's sockets: the namespaces that were read, and the gaps.

use std::fmt;

use thiserror::Error;

use super::errno::Errno;

/// A network namespace that was read, and the time of the read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// Inode number; `None` when `/proc` does not show that of tcptrace's own namespace.
    pub inode: Option<u32>,
    /// Time before the first request, nanoseconds of `CLOCK_MONOTONIC`.
    pub begin_ns: u64,
    /// Time after the last response.
    pub end_ns: u64,
    /// Limit of its timewait sockets (`net.ipv4.tcp_max_tw_buckets`); `None` where it could not be read.
    pub most_timewait: Option<u64>,
}

/// Gaps of a snapshot. Every gap is counted: an empty value means that everything is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// Known namespaces that could not be read.
    pub namespaces: Vec<Unseen>,
    /// Processes whose namespace cannot be determined; it may be one that is read anyway.
    pub unreadable_processes: usize,
    /// Dumps that the kernel marked as interrupted each time they were repeated.
    pub interrupted_dumps: usize,
    /// Responses that this version does not understand.
    pub undecodable: usize,
}

/// A namespace that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unseen {
    /// Its inode number, as far as it is known.
    pub netns: Option<u32>,
    /// The reason.
    pub obstacle: Obstacle,
}

/// Why a namespace could not be read.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Obstacle {
    /// Its file cannot be opened.
    #[error("opening it: {}", .0.description())]
    Open(Errno),
    /// The kernel does not let tcptrace enter it.
    #[error("entering it (setns): {}", .0.description())]
    Enter(Errno),
    /// The request cannot be sent, or its response is an error.
    #[error("asking the kernel (sock_diag): {}", .0.description())]
    Dump(Errno),
    /// The thread that would enter it cannot be started.
    #[error("starting a thread: {}", .0.description())]
    Thread(Errno),
}

impl fmt::Display for Unseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.netns {
            Some(inode) => write!(f, "{inode} ({})", self.obstacle),
            None => write!(f, "of this process ({})", self.obstacle),
        }
    }
}

impl Gaps {
    /// Whether there is no gap.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// One line with the kind, the count and the cause of each gap.
impl fmt::Display for Gaps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        match &self.namespaces[..] {
            [] => {}
            [one] => parts.push(format!("network namespace {one}")),
            [first, ..] => {
                parts.push(format!("{} network namespaces, such as {first}", self.namespaces.len()));
            }
        }
        if self.unreadable_processes > 0 {
            parts.push(format!("network namespaces of unreadable processes ({})", self.unreadable_processes));
        }
        if self.interrupted_dumps > 0 {
            parts.push(format!("what changed during interrupted walks ({})", self.interrupted_dumps));
        }
        if self.undecodable > 0 {
            parts.push(format!("answers that are not understood ({})", self.undecodable));
        }
        f.write_str(&parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_says_what_lacks_and_why() {
        let mut gaps = Gaps::default();
        assert!(gaps.is_empty());
        gaps.namespaces.push(Unseen { netns: Some(7), obstacle: Obstacle::Enter(Errno(1)) });
        assert_eq!(gaps.to_string(), "network namespace 7 (entering it (setns): Operation not permitted)");
        gaps.namespaces.push(Unseen { netns: None, obstacle: Obstacle::Dump(Errno(2)) });
        gaps.unreadable_processes = 3;
        let line = gaps.to_string();
        assert!(
            line.starts_with("2 network namespaces, such as 7 (")
                && line.contains("unreadable processes (3)"),
            "{line}"
        );
        assert!(!gaps.is_empty());
    }
}
