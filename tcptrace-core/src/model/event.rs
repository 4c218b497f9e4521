//! The kernel side's records, decoded. They hold what the kernel reported, and nothing inferred.

use std::sync::Arc;

use tcptrace_common::{CloseEvidence, CloseMetrics};

use crate::model::{flow::Flow, process::Process, state::State, text::until_nul};

/// A decoded record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observed {
    /// A socket changed its state.
    Transition(Event),
    /// Another event of its connection.
    Signal(Signal),
}

/// An event of a connection other than a transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// A reset was sent or received.
    Reset(Reset),
    /// A segment was sent again, by the socket at this address.
    Retransmit {
        /// Address of the `struct sock`.
        skaddr: u64,
    },
    /// The kernel reported an error to the socket's program.
    Error(ErrorReport),
    /// A socket that had just closed was destroyed from outside.
    Abort(Abort),
}

/// The end of a listener by a process that does not have it open (`ss -K`). The transition to CLOSE does not show this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abort {
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub ktime_ns: u64,
    /// Address of the `struct sock`.
    pub skaddr: u64,
    /// Socket cookie; 0 where the kernel has none.
    pub cookie: u64,
}

/// A reset (RST) of a socket's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reset {
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub ktime_ns: u64,
    /// Address of the `struct sock`.
    pub skaddr: u64,
    /// Socket cookie; 0 where the kernel has none.
    pub cookie: u64,
    /// Local and remote port; 0 when not known.
    pub ports: (u16, u16),
    /// This side sent it.
    pub sent: bool,
    /// `enum sk_rst_reason`; 0 where the kernel gives none.
    pub reason: u32,
}

/// An error from a hook where the kernel does not report whose socket it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorReport {
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub ktime_ns: u64,
    /// The ends of the connection; their namespace is not known.
    pub flow: Flow,
    /// errno.
    pub error: i32,
}

/// A state transition of a TCP socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub ktime_ns: u64,
    /// When the socket entered `old_state`, same clock, where the kernel side kept it.
    pub since_ns: Option<u64>,
    /// Address of the `struct sock`; reused by the kernel once the socket is gone.
    pub skaddr: u64,
    /// Socket cookie; 0 where the kernel has none.
    pub cookie: u64,
    /// The ends of the connection.
    pub flow: Flow,
    /// The network device that the socket is bound to: by its program, by a link-local address, or by its VRF. `None`
    /// without one, and where it is unknown.
    pub device: Option<Device>,
    /// State before.
    pub old_state: State,
    /// State after.
    pub new_state: State,
    /// The task on the CPU.
    pub context: Context,
    /// The context acts on this socket: it owns it.
    pub context_owns: bool,
    /// The process of the context, where the process owns the socket and was resolved. In a transition, the owner has it.
    pub process: Option<Arc<Process>>,
    /// `sk_err` (errno, 0 for none); `None` when not known.
    pub error: Option<i32>,
    /// Final figures, at CLOSE, where known.
    pub metrics: Option<CloseMetrics>,
    /// Evidence from the socket for the cause of its end, at CLOSE, where known.
    pub evidence: Option<CloseEvidence>,
    /// At CLOSE -> LISTEN: the socket has listened before. `false` also where that is not known.
    pub has_listened: bool,
    /// At LISTEN -> SYN_RECV: the listener may not be the one at this address. `false` also where that is not known.
    pub steered: bool,
    /// The verdict of the kernel side's filters.
    pub verdict: Verdict,
}

/// A network device. Connections with the same ends on two devices are two connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its index in its namespace.
    pub ifindex: u32,
    /// Its name in its namespace; `None` where it is unknown.
    pub name: Option<Arc<str>>,
}

/// The name of the thread of a tcptrace that reads which process has which socket open. The thread holds each socket for a
/// moment. A socket that a process closes at that moment ends when the thread releases it (`fput()`).
pub const HOLDER_READER: &str = "tcptrace-holder";

/// Beginnings of the names of threads that act for others: kernel workers, and the reader of holders.
pub const BYSTANDERS: [&[u8]; 3] = [b"kworker/", b"ksoftirqd/", HOLDER_READER.as_bytes()];

/// The task on the CPU at the transition; in softirq context any task at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// Process id (thread group).
    pub pid: u32,
    /// Thread id.
    pub tid: u32,
    /// Real user id.
    pub uid: u32,
    /// Thread name, NUL-padded, any bytes.
    pub comm: [u8; 16],
    /// cgroup v2 id.
    pub cgroup_id: u64,
    /// The socket lock was held by a process: this is process context. `None` when not known.
    pub in_process: Option<bool>,
    /// The process is ending. `false` also where that is not known.
    pub exiting: bool,
}

impl Context {
    /// No context: for inferred transitions.
    pub const NONE: Self =
        Self { pid: 0, tid: 0, uid: 0, comm: [0; 16], cgroup_id: 0, in_process: None, exiting: false };

    /// Whether this is the main thread of the process: only the main thread's name is the name of the process.
    pub fn is_main_thread(&self) -> bool {
        self.tid == self.pid
    }

    /// The thread's name, without the NULs behind it.
    pub fn name(&self) -> &[u8] {
        until_nul(&self.comm)
    }

    /// Whether the thread's name is that of a thread that acts for others. Some kernels and hooks do not show the flags of
    /// kernel threads; there, these names identify them. A program that takes such a name only hides itself.
    pub fn is_bystander(&self) -> bool {
        is_bystander(&self.comm)
    }
}

/// The same as [`Context::is_bystander`], for the name of a thread.
pub(crate) fn is_bystander(comm: &[u8; 16]) -> bool {
    BYSTANDERS.into_iter().any(|name| comm.starts_with(name))
}

/// The verdict of the kernel side's filters on a record that it sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passes.
    Pass,
    /// It passes if the local port, not chosen yet, turns out to match.
    Undecided,
    /// It does not pass; it was sent since other records cannot be understood without it.
    Hidden,
}
