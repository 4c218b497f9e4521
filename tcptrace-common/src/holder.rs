//! The record that the kernel side writes for each descriptor of a TCP socket.

/// A descriptor and the socket behind it, in the kernel's byte order.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HolderRecord {
    /// Inode of the socket, as `ss -e` and `/proc/PID/fd` show it.
    pub inode: u64,
    /// Socket cookie; 0 where the kernel has none for this socket yet.
    pub cookie: u64,
    /// Address of the `struct sock`.
    pub skaddr: u64,
    /// Process id (thread group) in the first pid namespace.
    pub tgid: u32,
    /// Number of the descriptor.
    pub fd: u32,
    /// Inode number of the socket's network namespace; 0 when unknown.
    pub netns: u32,
    /// `IPPROTO_TCP`, or `IPPROTO_MPTCP`: then the connection's subflows are sockets without descriptors, which have
    /// this one's inode.
    pub protocol: u16,
    /// The socket's state, `include/net/tcp_states.h`.
    pub state: u8,
    /// Always 0.
    pub reserved: u8,
    /// Local port, host order.
    pub lport: u16,
    /// Always 0.
    pub padding: u16,
    /// Always 0.
    pub rest: u32,
}

const _: () = assert!(size_of::<HolderRecord>() == 48);
