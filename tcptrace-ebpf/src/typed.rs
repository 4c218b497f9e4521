//! Loads through typed kernel pointers: no helper, no copy.

use core::arch::asm;

use tcptrace_common::Fields;

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
