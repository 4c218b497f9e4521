//! Notices: sentences about a trace, beside its records, that a person should read.

use std::{fmt, path::PathBuf, sync::Arc};

use tcptrace_core::model::{hooks::Hook, text::Escaped};

use crate::sys::disk::DiskNotice;

/// Something that a person should know. Its text is one line without control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Tracing has begun: from now on nothing is missed.
    Begun {
        /// The hook that the kernel took.
        hook: Hook,
        /// Bytes of the ring buffer.
        ring_bytes: u32,
        /// The file to record to, if any.
        recording: Option<PathBuf>,
    },
    /// Process ids are the host's, and not those of this pid namespace.
    OwnPids,
    /// No SYN is seen; polls find half-open connections. The reason.
    NoSyns(String),
    /// SYNs are seen of the visible cgroups only; polls find half-open connections of others.
    VisibleCgroupsOnly,
    /// Retransmitted SYN-ACKs are not seen. The reason.
    NoRetransmits(String),
    /// Owners of pre-existing sockets stay unknown until the process acts on the socket. The reason.
    PreexistingUnowned(String),
    /// A file or an output waits for space on its disk, or no longer.
    Disk(DiskNotice),
    /// Half-open connections were requested, and the capture has none.
    NoHalfOpen,
    /// The capture is not complete. The reason.
    Incomplete(String),
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const HALF_OPEN: &str = "note: half-open connections:";
        let escaped = |why: &str| Escaped(why.as_bytes()).to_string();
        match self {
            Self::Begun { hook, ring_bytes, recording } => {
                match recording {
                    Some(path) => write!(f, "recording to {}", Escaped(path.as_os_str().as_encoded_bytes()))?,
                    None => f.write_str("tracing")?,
                }
                write!(f, " ({hook}, ring buffer {} KiB)", ring_bytes >> 10)
            }
            Self::OwnPids => f.write_str(
                "note: this is a pid namespace of its own, as in a container: process ids (and -p) are the \
                 host's, and of a process only its name is known; with the host's (--pid=host, hostPID), all is",
            ),
            Self::NoSyns(why) => {
                write!(f, "{HALF_OPEN} no SYN is seen, a poll a second has to do ({})", escaped(why))
            }
            Self::VisibleCgroupsOnly => write!(
                f,
                "{HALF_OPEN} SYNs are seen of the cgroups that this process can see; a poll a second finds the others"
            ),
            Self::NoRetransmits(why) => {
                write!(f, "{HALF_OPEN} no SYN-ACK is seen that is sent again ({})", escaped(why))
            }
            Self::PreexistingUnowned(why) => write!(
                f,
                "note: sockets that the process had before are seen once it acts on them: {}",
                escaped(why)
            ),
            Self::Disk(notice) => f.write_str(&escaped(&notice.to_string())),
            Self::NoHalfOpen => f.write_str("note: the capture has no half-open connections"),
            Self::Incomplete(why) => write!(f, "the capture is not all there: {}", escaped(why)),
        }
    }
}

/// Takes notices. The session calls it on its own threads, so it must not take long.
#[derive(Clone)]
pub(super) struct Notices(Arc<dyn Fn(Notice) + Send + Sync>);

impl Notices {
    pub(super) fn new(take: impl Fn(Notice) + Send + Sync + 'static) -> Self {
        Self(Arc::new(take))
    }

    pub(super) fn give(&self, notice: Notice) {
        (self.0)(notice);
    }

    /// Takes the notices of threads that write files.
    pub(super) fn of_disk(&self) -> Arc<dyn Fn(DiskNotice) + Send + Sync> {
        let this = self.clone();
        Arc::new(move |notice| this.give(Notice::Disk(notice)))
    }
}

/// Drops all notices.
impl Default for Notices {
    fn default() -> Self {
        Self::new(|_| ())
    }
}
