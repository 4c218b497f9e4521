//! `iter/task_file`: the kernel runs the program once for each descriptor of each process, whenever user space reads
//! the iterator. Threads that share their process' table of descriptors are left out by the kernel from Linux 5.11 on.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::seq_file,
    helpers::generated::{bpf_seq_write, bpf_sock_from_file},
};
use tcptrace_common::{AF_INET, AF_INET6, HolderRecord, IPPROTO_MPTCP, IPPROTO_TCP, SOCK_STREAM};

use super::tp_btf::BtfSock;
use crate::{sock::Sock as _, typed::load};

/// `struct bpf_iter__task_file`, `kernel/bpf/task_iter.c`.
#[repr(C)]
pub(crate) struct TaskFile {
    meta: *const Meta,
    /// Null, like `file`, after the last descriptor.
    task: *const u8,
    fd: u32,
    _padding: u32,
    file: *const u8,
}

/// The start of `struct bpf_iter_meta`, `include/linux/bpf.h`.
#[repr(C)]
struct Meta {
    seq: *mut seq_file,
}

/// Writes a record if the descriptor is a TCP socket. aya-ebpf has no macro for this type of program.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_file")]
pub(crate) extern "C" fn holders(ctx: *const TaskFile) -> i32 {
    // SAFETY: the kernel's context of such a program; each pointer is checked before it is followed.
    unsafe {
        let (task, file) = ((*ctx).task, (*ctx).file);
        if task.is_null() || file.is_null() {
            return 0;
        }
        let socket: *const u8 = bpf_sock_from_file(file.cast_mut().cast()).cast_const().cast();
        if socket.is_null() {
            return 0;
        }
        let sk: *const u8 = load!(socket, file.sk);
        if sk.is_null() || !is_tcp(sk) {
            return 0;
        }
        let record = record(task, (*ctx).fd, file, sk);
        let size = size_of::<HolderRecord>() as u32;
        // A record that finds no room is written again when user space has taken the others.
        bpf_seq_write((*(*ctx).meta).seq, (&raw const record).cast::<c_void>(), size);
    }
    0
}

/// Whether it is a socket of TCP or MPTCP: other families have protocols of their own by these numbers, and raw
/// sockets may ask for TCP's.
///
/// # Safety
/// `sk` is a typed pointer to `struct sock`.
#[inline(always)]
unsafe fn is_tcp(sk: *const u8) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        let (family, kind): (u16, u16) = (load!(sk, sock.family), load!(sk, sock.kind));
        let protocol: u16 = load!(sk, sock.protocol);
        (family == AF_INET || family == AF_INET6)
            && kind == SOCK_STREAM
            && (protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP)
    }
}

/// # Safety
/// Typed pointers to what their names say.
#[inline(always)]
unsafe fn record(task: *const u8, fd: u32, file: *const u8, sk: *const u8) -> HolderRecord {
    // SAFETY: the caller's promise.
    unsafe {
        let inode: *const u8 = load!(file, file.inode);
        let sock = BtfSock::common(sk);
        HolderRecord {
            inode: if inode.is_null() { 0 } else { load!(inode, file.ino) },
            cookie: sock.cookie(),
            skaddr: sk as u64,
            tgid: load!(task, task.tgid),
            fd,
            netns: sock.netns(),
            protocol: load!(sk, sock.protocol),
            state: load!(sk, sock.state),
            reserved: 0,
            lport: sock.tuple().lport,
            padding: 0,
            rest: 0,
        }
    }
}
