//! Dumps of the kernel's sockets: which namespaces they have, and what they could not see.

use std::fmt;

use thiserror::Error;

use super::errno::Errno;

/// When a namespace was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// Inode number; `None` when `/proc` does not tell that of our own.
    pub inode: Option<u32>,
    /// Before the first question, nanoseconds of `CLOCK_MONOTONIC`.
    pub begin_ns: u64,
    /// After the last answer.
    pub end_ns: u64,
    /// How many timewait sockets it may have (`net.ipv4.tcp_max_tw_buckets`); `None` where it does not tell.
    pub most_timewait: Option<u64>,
}

/// Gaps of a snapshot. Every gap is counted: an empty value means that everything is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// Namespaces that are known and could not be read.
    pub namespaces: Vec<Unseen>,
    /// Processes whose namespace cannot be seen; it can be one that is read anyway.
    pub unreadable_processes: usize,
    /// Walks that the kernel called interrupted as often as they were repeated.
    pub interrupted_dumps: usize,
    /// Answers that this version does not understand.
    pub undecodable: usize,
}

/// A namespace that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unseen {
    /// Its inode number, as far as it is known.
    pub netns: Option<u32>,
    /// Why.
    pub obstacle: Obstacle,
}

/// Why a namespace could not be read.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Obstacle {
    /// Its file cannot be opened.
    #[error("opening it: {}", .0.description())]
    Open(Errno),
    /// The kernel does not let us in.
    #[error("entering it (setns): {}", .0.description())]
    Enter(Errno),
    /// The question cannot be asked, or its answer is an error.
    #[error("asking the kernel (sock_diag): {}", .0.description())]
    Dump(Errno),
    /// A thread to enter it by cannot be started.
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
    /// Whether everything was seen.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// One line: what, how many, why.
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
