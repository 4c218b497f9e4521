//! Fields of the kernel's structures, and how their offsets come into the programs.
//!
//! rustc emits no CO-RE relocations. Instead each load of a `tp_btf` program is compiled with a marker where the
//! offset belongs, and user space puts the running kernel's offset in its place before it loads the program:
//! one instruction a field, and no memory touched for the settings. The verifier checks the offset against the
//! kernel's types, and so refuses a marker that is left.

/// Structures of byte offsets, a `u32` a field.
macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident,)* })*) => {$(
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: u32,)*
        }

        impl $name {
            const COUNT: usize = [$(stringify!($field)),*].len();
            const NONE: Self = Self { $($field: 0),* };

            /// Markers in the order of the fields, and the next one.
            const fn marked(next: u32) -> (Self, u32) {
                $(let ($field, next) = (next, next + Fields::STEP);)*
                (Self { $($field),* }, next)
            }

            const fn offsets(&self) -> [u32; Self::COUNT] {
                [$(self.$field),*]
            }
        }
    )*};
}

fields! {
    /// Byte offsets in `struct sock`, and what hangs from it. 0 where
    /// [`Known`](crate::Known) says that it is not known.
    SockLayout {
        /// `__sk_common.skc_family`, u16.
        family,
        /// `__sk_common.skc_dport`, network order u16.
        dport,
        /// `__sk_common.skc_num`, host order u16; already 0 at the transition to CLOSE.
        num,
        /// `__sk_common.skc_daddr`, four bytes.
        daddr,
        /// `__sk_common.skc_rcv_saddr`, four bytes.
        rcv_saddr,
        /// `__sk_common.skc_v6_daddr`, sixteen bytes.
        v6_daddr,
        /// `__sk_common.skc_v6_rcv_saddr`, sixteen bytes.
        v6_rcv_saddr,
        /// `__sk_common.skc_net.net`, pointer to `struct net`.
        net,
        /// `ns.inum` in `struct net`, u32.
        net_inum,
        /// `__sk_common.skc_cookie`, u64, 0 until someone asked for it.
        cookie,
        /// `sk_protocol`, u16.
        protocol,
        /// `sk_lock.owned`, int.
        lock_owned,
        /// `sk_err`, int.
        err,
        /// `__sk_common.skc_flags`, unsigned long: bits of `enum sock_flags`.
        flags,
        /// `sk_lingertime`, unsigned long, in jiffies.
        lingertime,
        /// `sk_shutdown`, u8.
        shutdown,
        /// `__sk_common.skc_state`, u8.
        state,
        /// `sk_type`, u16: a raw socket may have TCP's protocol.
        kind,
        /// `__sk_common.skc_bound_dev_if`, int.
        bound_dev_if,
        /// `bpf.run_array[NETNS_BPF_SK_LOOKUP]` in `struct net`, pointer.
        net_lookup,
    }

    /// Byte offsets in `struct task_struct`, and what hangs from it: the context of a transition without a helper
    /// call for each of its parts.
    TaskLayout {
        /// `flags`, u32.
        flags,
        /// `tgid`, int.
        tgid,
        /// `pid`, int: the thread.
        pid,
        /// `comm`, sixteen bytes.
        comm,
        /// `cred`, pointer to `struct cred`.
        cred,
        /// `uid.val` in `struct cred`, u32.
        cred_uid,
        /// `cgroups`, pointer to `struct css_set`.
        cgroups,
        /// `dfl_cgrp` in `struct css_set`, pointer to `struct cgroup`.
        dfl_cgrp,
        /// `kn` in `struct cgroup`, pointer to `struct kernfs_node`.
        kn,
        /// `id` in `struct kernfs_node`, u64: the cgroup id.
        kn_id,
    }

    /// Byte offsets in `struct tcp_sock`.
    TcpLayout {
        /// `inet_conn.icsk_inet.inet_sport`, network order u16; survives to CLOSE.
        sport,
        /// `inet_conn.icsk_inet.inet_saddr`, four bytes.
        saddr,
        /// `bytes_acked`, u64.
        bytes_acked,
        /// `bytes_received`, u64.
        bytes_received,
        /// `srtt_us`, u32, eighths of a microsecond.
        srtt_us,
        /// `total_retrans`, u32.
        total_retrans,
        /// `inet_conn.icsk_user_timeout`, u32, milliseconds.
        user_timeout,
        /// `inet_conn.icsk_retransmits`, u8.
        retransmits,
        /// `inet_conn.icsk_probes_out`, u8.
        probes_out,
        /// `segs_out`, u32.
        segs_out,
        /// `write_seq`, u32.
        write_seq,
        /// `snd_nxt`, u32.
        snd_nxt,
        /// `rcv_nxt`, u32.
        rcv_nxt,
        /// `copied_seq`, u32.
        copied_seq,
        /// The byte that has `repair`, by [`Masks::repair`](crate::Masks::repair).
        repair,
        /// The byte that has `defer_connect`, or that bit of `inet_flags`.
        deferred,
        /// The byte that has `transparent`, or that bit of `inet_flags`.
        transparent,
    }

    /// Byte offsets in `struct file`, and on the way from there to the socket.
    FileLayout {
        /// `f_inode`, pointer to `struct inode`.
        inode,
        /// `i_ino` in `struct inode`, u64.
        ino,
        /// `sk` in `struct socket`, pointer to `struct sock`.
        sk,
    }
}

/// Offsets of every field that is loaded.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields {
    /// `struct sock`.
    pub sock: SockLayout,
    /// `struct tcp_sock`.
    pub tcp: TcpLayout,
    /// `struct task_struct`.
    pub task: TaskLayout,
    /// `struct file`.
    pub file: FileLayout,
}

impl Fields {
    /// The first marker: beyond any offset in the programs' own memory.
    pub const FIRST_MARKER: u32 = 0x4000;
    /// From one marker to the next; a field of sixteen bytes is loaded in two halves.
    pub const STEP: u32 = 16;
    /// How many fields there are.
    pub const COUNT: usize = SockLayout::COUNT + TcpLayout::COUNT + TaskLayout::COUNT + FileLayout::COUNT;
    /// Nothing known.
    pub const NONE: Self =
        Self { sock: SockLayout::NONE, tcp: TcpLayout::NONE, task: TaskLayout::NONE, file: FileLayout::NONE };
    /// The marker of each field.
    pub const MARKERS: Self = {
        let (sock, next) = SockLayout::marked(Self::FIRST_MARKER);
        let (tcp, next) = TcpLayout::marked(next);
        let (task, next) = TaskLayout::marked(next);
        let (file, _) = FileLayout::marked(next);
        Self { sock, tcp, task, file }
    };

    /// The offset that belongs where the code has `marker`, or up to 15 bytes behind one; `None` when it is none.
    pub fn resolve(&self, marker: u32) -> Option<u32> {
        let distance = marker.checked_sub(Self::FIRST_MARKER)?;
        let index = usize::try_from(distance / Self::STEP).ok()?;
        let mut offsets = self
            .sock
            .offsets()
            .into_iter()
            .chain(self.tcp.offsets())
            .chain(self.task.offsets())
            .chain(self.file.offsets());
        offsets.nth(index)?.checked_add(distance % Self::STEP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_marker_resolves_to_its_own_field() {
        let mut fields = Fields::NONE;
        fields.sock.family = 16;
        fields.tcp.sport = 700;
        fields.task.kn_id = 96;
        fields.task.comm = 3000;
        fields.file.ino = 64;
        let markers = Fields::MARKERS;
        assert_eq!(fields.resolve(markers.sock.family), Some(16));
        assert_eq!(fields.resolve(markers.tcp.sport), Some(700));
        assert_eq!(fields.resolve(markers.task.kn_id), Some(96));
        assert_eq!(fields.resolve(markers.task.comm + 8), Some(3008));
        assert_eq!(fields.resolve(markers.file.ino), Some(64));
    }

    #[test]
    fn what_is_no_marker_stays() {
        let end = Fields::FIRST_MARKER + u32::try_from(Fields::COUNT).expect("few") * Fields::STEP;
        assert_eq!(Fields::MARKERS.file.sk, end - Fields::STEP, "the last one");
        for number in [0, 2088, Fields::FIRST_MARKER - 1, end, u32::MAX] {
            assert_eq!(Fields::NONE.resolve(number), None, "{number:#x}");
        }
    }
}
