//! The processes that hold TCP sockets open, by a program that the kernel runs on every descriptor of every process: no
//! name of a descriptor has to be made and read for each file that is no socket.

use std::io::{self, ErrorKind, Read};

use aya::{Ebpf, programs::Iter};
use bytes::Buf as _;
use tcptrace_common::{Config, HolderRecord, IPPROTO_MPTCP, Known};
use tcptrace_core::model::state::State;
use thiserror::Error;

use super::{
    Error, LayoutError,
    kernel::{ITERATOR, Kernel},
    object::{Sizes, load_object, refusal},
    privileges,
};
use crate::sys::host;

/// Name of the program.
const PROGRAM: &str = "holders";

/// The reason why this program cannot be used. `/proc` is the other source.
#[derive(Debug, Error)]
pub enum HoldersError {
    /// The process lacks capabilities.
    #[error("it takes CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN")]
    NotPrivileged,
    /// Process ids here are not those that the program sees.
    #[error("this process has a pid namespace of its own, in which the kernel's process ids mean nothing")]
    PidNamespace,
    /// No BTF.
    #[error("the kernel offers no type information (/sys/kernel/btf/vmlinux: {0})")]
    NoBtf(io::Error),
    /// BTF that cannot be used.
    #[error("the kernel's type information cannot be used ({0})")]
    Types(String),
    /// The fields from a file to its socket are unknown.
    #[error("the kernel's type information does not say how to get from a file to its socket")]
    NoFile,
    /// Structures of this kernel are not understood.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The kernel refused the program.
    #[error("the kernel refused the program ({0}); Linux 5.11 or newer takes it")]
    Refused(String),
    /// A read from the program failed.
    #[error("reading from the program: {0}")]
    Read(io::Error),
    /// The object in this binary does not fit to this binary.
    #[error("the built-in kernel object cannot be used ({0}); rebuild it with `cargo xtask build-ebpf`")]
    Object(String),
}

impl From<Error> for HoldersError {
    fn from(error: Error) -> Self {
        match error {
            Error::NoBtf(error) => Self::NoBtf(error),
            Error::Btf(error) => Self::Types(error.to_string()),
            Error::Types(error) => Self::Types(error),
            error => Self::Object(error.to_string()),
        }
    }
}

/// A descriptor of a TCP socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Inode of the socket.
    pub inode: u64,
    /// Socket cookie; `None` where the kernel has given the socket none.
    pub cookie: Option<u64>,
    /// Address of the `struct sock`: the socket's identity in a trace, while it lives.
    pub skaddr: u64,
    /// Inode number of the socket's network namespace.
    pub netns: Option<u32>,
    /// Local port; 0 when it has none.
    pub lport: u16,
    /// The socket's state when it was read.
    pub state: State,
    /// It is a socket of MPTCP. The connection's subflows are TCP sockets with this one's inode. They have states,
    /// cookies and addresses of their own, which are not reported here.
    pub multipath: bool,
    /// Process id (thread group).
    pub pid: u32,
    /// Number of the descriptor.
    pub fd: u32,
}

/// The loaded program. It needs no running tracer, and does not disturb one.
pub struct SocketFiles {
    ebpf: Ebpf,
}

impl SocketFiles {
    /// Loads the program.
    ///
    /// # Errors
    /// [`HoldersError`].
    pub fn load() -> Result<Self, HoldersError> {
        if !privileges::may_trace() {
            return Err(HoldersError::NotPrivileged);
        }
        if host::has_own_pids() {
            return Err(HoldersError::PidNamespace);
        }
        privileges::lift_memlock();
        let kernel = Kernel::get()?;
        let mut config = Config::EMPTY;
        kernel.describe(&mut config)?;
        if config.known & Known::FILE == 0 || config.known & Known::TASK == 0 {
            return Err(HoldersError::NoFile);
        }
        let types = kernel.types()?;
        let with_helper = Config { known: config.known | Known::COOKIE_HELPER, ..config };
        // Linux 5.11 does not have the helper in such programs.
        Self::with(&with_helper, &types).or_else(|error| match error {
            HoldersError::Refused(_) => Self::with(&config, &types),
            other => Err(other),
        })
    }

    fn with(config: &Config, types: &aya::Btf) -> Result<Self, HoldersError> {
        let mut ebpf = load_object(config, 0, Sizes::least())?;
        let program = iterator(&mut ebpf)?;
        program.load(ITERATOR, types).map_err(|error| HoldersError::Refused(refusal(&error)))?;
        Ok(Self { ebpf })
    }

    /// All descriptors of TCP sockets on this host, and the number of the program's records that could not be decoded.
    /// A descriptor that several threads share may come several times.
    ///
    /// # Errors
    /// [`HoldersError::Refused`] or [`HoldersError::Read`].
    pub fn read(&mut self) -> Result<(Vec<Held>, usize), HoldersError> {
        let mut all = Vec::new();
        let undecodable = self.read_each(|held| all.push(held))?;
        Ok((all, undecodable))
    }

    /// As [`Self::read`], but hands the descriptors over one by one. Returns the number of records that could not be
    /// decoded.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_each(&mut self, take: impl FnMut(Held)) -> Result<usize, HoldersError> {
        let refused = |error: &dyn std::error::Error| HoldersError::Refused(error.to_string());
        let program = iterator(&mut self.ebpf)?;
        let link = program.attach().map_err(|error| refused(&error))?;
        let link = program.take_link(link).map_err(|error| refused(&error))?;
        let file = link.into_file().map_err(|error| refused(&error))?;
        read_all(file, take).map_err(HoldersError::Read)
    }
}

fn iterator(ebpf: &mut Ebpf) -> Result<&mut Iter, HoldersError> {
    let program =
        ebpf.program_mut(PROGRAM).ok_or_else(|| HoldersError::Object(format!("no program {PROGRAM}")))?;
    program.try_into().map_err(|error: aya::programs::ProgramError| HoldersError::Object(error.to_string()))
}

/// Hands over every record that the program writes. Returns the number of records that could not be decoded: an
/// incomplete one at the end counts.
fn read_all(mut file: impl Read, mut take: impl FnMut(Held)) -> io::Result<usize> {
    let mut rest = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(usize::from(!rest.is_empty())),
            Ok(count) => {
                rest.extend_from_slice(&buffer[..count]);
                let records = rest.chunks_exact(size_of::<HolderRecord>());
                let whole = rest.len() - records.remainder().len();
                records.map(held).for_each(&mut take);
                rest.drain(..whole);
            }
            // The kernel pauses after each million descriptors without a socket among them.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Decodes one record, which has its full length.
fn held(mut record: &[u8]) -> Held {
    // The order of the fields is that of `HolderRecord`.
    let (inode, cookie, skaddr) = (record.get_u64_ne(), record.get_u64_ne(), record.get_u64_ne());
    let (pid, fd, netns) = (record.get_u32_ne(), record.get_u32_ne(), record.get_u32_ne());
    let (protocol, state, _reserved) = (record.get_u16_ne(), record.get_u8(), record.get_u8());
    let lport = record.get_u16_ne();
    Held {
        inode,
        cookie: (cookie != 0).then_some(cookie),
        skaddr,
        netns: (netns != 0).then_some(netns),
        lport,
        state: State(state),
        multipath: protocol == IPPROTO_MPTCP,
        pid,
        fd,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record as the kernel side writes it.
    fn record(fields: [u64; 3], words: [u32; 3], protocol: u16, state: u8) -> Vec<u8> {
        let mut bytes: Vec<u8> = fields.iter().flat_map(|field| field.to_ne_bytes()).collect();
        bytes.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
        bytes.extend(protocol.to_ne_bytes());
        bytes.extend([state, 0]);
        bytes.extend([80, 0, 0, 0].map(u16::to_ne_bytes).concat());
        bytes
    }

    fn read(bytes: impl Read) -> (Vec<Held>, usize) {
        let mut all = Vec::new();
        let undecodable = read_all(bytes, |held| all.push(held)).expect("bytes");
        (all, undecodable)
    }

    #[test]
    fn records_and_what_is_left_of_one() {
        let mut bytes = record([7, 8, 9], [10, 11, 12], 6, 1);
        bytes.extend(record([1, 0, 2], [3, 4, 0], 262, 99));
        let first = Held {
            inode: 7,
            cookie: Some(8),
            skaddr: 9,
            netns: Some(12),
            lport: 80,
            state: State::ESTABLISHED,
            multipath: false,
            pid: 10,
            fd: 11,
        };
        let second = Held {
            inode: 1,
            cookie: None,
            skaddr: 2,
            netns: None,
            lport: 80,
            state: State(99),
            multipath: true,
            pid: 3,
            fd: 4,
        };
        assert_eq!(read(&bytes[..]), (vec![first, second], 0));
        assert_eq!(read(&bytes[..bytes.len() - 1]), (vec![first], 1));
        assert_eq!(read(&[][..]), (vec![], 0));
        let (begin, end) = bytes.split_at(50);
        assert_eq!(read(Read::chain(begin, end)), (vec![first, second], 0), "a record in two reads");
    }
}
