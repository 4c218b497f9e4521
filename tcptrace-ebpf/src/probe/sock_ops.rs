//! `sock_ops` on the root of the cgroups: the kernel asks such a program for the first timeout of each SYN that it
//! queues. The answer stays what it was: this one only looks.

use aya_ebpf::{
    EbpfContext as _,
    helpers::generated::{bpf_get_netns_cookie, bpf_get_socket_cookie},
    macros::sock_ops,
    programs::SockOpsContext,
};
use tcptrace_common::{AF_INET, Address, HALF_OPEN_SYN};

use crate::{
    half_open::{self, Seen},
    sock::Tuple,
};

/// `BPF_SOCK_OPS_TIMEOUT_INIT`, `include/uapi/linux/bpf.h`.
const TIMEOUT_INIT: u32 = 1;

/// A queued SYN, with its network namespace: Linux 5.15 and newer.
#[sock_ops]
#[expect(clippy::needless_pass_by_value, reason = "the macro passes it so")]
pub(crate) fn syn_netns(ctx: SockOpsContext) -> u32 {
    if is_syn(&ctx) {
        half_open::report(HALF_OPEN_SYN, || {
            // SAFETY: the helper takes this context.
            let netns_cookie = unsafe { bpf_get_netns_cookie(ctx.as_ptr()) };
            seen(&ctx, netns_cookie)
        });
    }
    PROCEED
}

/// The same for kernels that do not tell the namespace.
#[sock_ops]
#[expect(clippy::needless_pass_by_value, reason = "the macro passes it so")]
pub(crate) fn syn(ctx: SockOpsContext) -> u32 {
    if is_syn(&ctx) {
        half_open::report(HALF_OPEN_SYN, || seen(&ctx, 0));
    }
    PROCEED
}

/// Anything else would tell the kernel that the program failed.
const PROCEED: u32 = 1;

/// A field of the context. The verifier takes loads of single fields only, and the compiler would join them.
macro_rules! field {
    ($ctx:expr, $field:ident) => {
        // SAFETY: a field of the context.
        unsafe { (&raw const (*$ctx.ops).$field).read_volatile() }
    };
}

/// The four words of an address.
macro_rules! words {
    ($ctx:expr, $field:ident) => {
        // SAFETY: a word of a field of the context each.
        unsafe {
            let words = (&raw const (*$ctx.ops).$field).cast::<u32>();
            [
                words.read_volatile(),
                words.add(1).read_volatile(),
                words.add(2).read_volatile(),
                words.add(3).read_volatile(),
            ]
        }
    };
}

/// Whether the kernel asks about a SYN. It asks the same about a socket that connects, which is a full one.
#[inline(always)]
fn is_syn(ctx: &SockOpsContext) -> bool {
    field!(ctx, op) == TIMEOUT_INIT && field!(ctx, is_fullsock) == 0
}

#[inline(always)]
fn seen(ctx: &SockOpsContext, netns_cookie: u64) -> Seen {
    // SAFETY: the helper takes this context.
    let cookie = unsafe { bpf_get_socket_cookie(ctx.as_ptr()) };
    Seen { what: HALF_OPEN_SYN, tuple: tuple(ctx), netns: 0, netns_cookie, cookie }
}

#[inline(always)]
fn tuple(ctx: &SockOpsContext) -> Tuple {
    let family = field!(ctx, family) as u16;
    let (laddr, raddr) = if family == AF_INET {
        (
            Address::from_v4(field!(ctx, local_ip4).to_ne_bytes()),
            Address::from_v4(field!(ctx, remote_ip4).to_ne_bytes()),
        )
    } else {
        (address(words!(ctx, local_ip6)), address(words!(ctx, remote_ip6)))
    };
    // The remote port is in network order, as a word.
    let rport = u32::from_be(field!(ctx, remote_port)) as u16;
    Tuple { family, lport: field!(ctx, local_port) as u16, rport, laddr, raddr }
}

/// An IPv6 address from its words in memory order.
#[inline(always)]
fn address(words: [u32; 4]) -> Address {
    // The first word is the lower half on the processors that eBPF is little-endian on.
    let join = |first: u32, second: u32| u64::from(second) << 32 | u64::from(first);
    Address { words: [join(words[0], words[1]), join(words[2], words[3])] }
}
