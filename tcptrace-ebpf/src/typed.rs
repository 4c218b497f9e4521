//! Loads through typed kernel pointers: no helper, no copy.

use core::{arch::asm, ffi::c_void};

use aya_ebpf::helpers::generated::bpf_get_socket_cookie;
use tcptrace_common::{Fields, Known};

use crate::config::known;

/// The fields, each by its marker, which the loader replaces.
pub(crate) const FIELDS: Fields = Fields::MARKERS;

/// What a load instruction can bring.
pub(crate) trait Loaded: Copy {
    /// Loads a field of [`FIELDS`], given by its marker; [`load!`] writes it shorter.
    ///
    /// # Safety
    /// `base` is a pointer whose kernel type the verifier knows: it checks offset and width against that type
    /// when the program is loaded, and a fault reads as 0.
    unsafe fn load<const MARKER: u32>(base: *const u8) -> Self;
}

/// In assembly, since the compiler is free to compute an address in another way, and the marker must be in the
/// load instruction.
macro_rules! loaded {
    ($($type:ty: $width:literal),*) => {$(
        impl Loaded for $type {
            #[inline(always)]
            unsafe fn load<const MARKER: u32>(base: *const u8) -> Self {
                let value: u64;
                // SAFETY: the caller's promise.
                unsafe {
                    asm!(
                        concat!("{value} = *(", $width, " *)({base} + {marker})"),
                        value = lateout(reg) value,
                        base = in(reg) base,
                        marker = const MARKER,
                        options(pure, readonly, nostack, preserves_flags),
                    );
                }
                value as Self
            }
        }
    )*};
}

loaded!(u8: "u8", u16: "u16", u32: "u32", i32: "u32", u64: "u64", *const u8: "u64");

/// Loads a field through a typed pointer: `load!(sk, sock.family)`. Unsafe, see [`Loaded::load`].
macro_rules! load {
    ($base:expr, $structure:ident.$field:ident $(+ $part:literal)?) => {
        $crate::typed::Loaded::load::<{ $crate::typed::FIELDS.$structure.$field $(+ $part)? }>($base)
    };
}
pub(crate) use load;

/// The cookie of a socket, 0 when the kernel does not tell it. It gets one when it is first asked for; only then is the
/// helper needed.
///
/// # Safety
/// `sk` is a pointer to a kernel type that begins with `struct sock_common`, and that the verifier knows.
#[inline(always)]
pub(crate) unsafe fn cookie(sk: *const u8) -> u64 {
    let cookie = if known(Known::COOKIE_FIELD) {
        // SAFETY: a u64 of struct sock_common.
        unsafe { load!(sk, sock.cookie) }
    } else {
        0
    };
    if cookie == 0 && known(Known::COOKIE_HELPER) {
        // SAFETY: takes the typed pointer.
        return unsafe { bpf_get_socket_cookie(sk.cast_mut().cast::<c_void>()) };
    }
    cookie
}
