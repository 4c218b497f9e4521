//! Addresses and prefixes in one form for both families.

/// An address in its 16 network-order bytes; IPv4 as `::ffff:a.b.c.d` (RFC 4291, 2.5.5.2).
///
/// One form means one comparison for both families, and an IPv4 peer of an IPv6 socket is the same
/// address as on an IPv4 socket.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// The 16 bytes as two words in memory order, so that the kernel side copies and masks whole words.
    pub words: [u64; 2],
}

impl Address {
    /// The IPv6 address `::`.
    pub const UNSPECIFIED: Self = Self { words: [0, 0] };

    /// Bytes 8..12 of a v4-mapped address, in memory order.
    const MAPPED: u32 = u32::from_ne_bytes([0, 0, 0xff, 0xff]);

    /// An IPv4 address from its four network-order bytes.
    #[inline]
    pub const fn from_v4(octets: [u8; 4]) -> Self {
        let [a, b, c, d] = octets;
        Self { words: [0, u64::from_ne_bytes([0, 0, 0xff, 0xff, a, b, c, d])] }
    }

    /// An IPv6 address from its sixteen network-order bytes.
    #[expect(clippy::many_single_char_names, reason = "they are sixteen bytes in a row")]
    #[inline]
    pub const fn from_v6(octets: [u8; 16]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = octets;
        Self {
            words: [
                u64::from_ne_bytes([a, b, c, d, e, f, g, h]),
                u64::from_ne_bytes([i, j, k, l, m, n, o, p]),
            ],
        }
    }

    /// The sixteen network-order bytes.
    #[expect(clippy::many_single_char_names, reason = "they are sixteen bytes in a row")]
    #[inline]
    pub const fn octets(self) -> [u8; 16] {
        let [a, b, c, d, e, f, g, h] = self.words[0].to_ne_bytes();
        let [i, j, k, l, m, n, o, p] = self.words[1].to_ne_bytes();
        [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
    }

    /// Whether this is an IPv4 address in mapped form.
    #[inline]
    pub const fn is_v4(self) -> bool {
        let [a, b, c, d, ..] = self.words[1].to_ne_bytes();
        self.words[0] == 0 && u32::from_ne_bytes([a, b, c, d]) == Self::MAPPED
    }
}

/// A CIDR prefix over the common form: an IPv4 `/n` is `/(96 + n)` here.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prefix {
    /// Network address, host bits zero.
    pub net: [u64; 2],
    /// Ones where an address must agree with `net`, in the same memory order.
    pub mask: [u64; 2],
}

impl Prefix {
    /// The prefix of `len` bits (0 to 128; more counts as 128) that holds `address`.
    pub const fn new(address: Address, len: u8) -> Self {
        let len = if len > 128 { 128 } else { len as u32 };
        let bits = if len == 0 { 0 } else { u128::MAX << (128 - len) };
        let mask = Address::from_v6(bits.to_be_bytes()).words;
        Self { net: [address.words[0] & mask[0], address.words[1] & mask[1]], mask }
    }

    /// Whether `address` lies in the prefix.
    #[inline]
    pub const fn contains(&self, address: Address) -> bool {
        (address.words[0] ^ self.net[0]) & self.mask[0] == 0
            && (address.words[1] ^ self.net[1]) & self.mask[1] == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_v4_prefix_holds_mapped_addresses_only() {
        let prefix = Prefix::new(Address::from_v4([192, 0, 2, 200]), 96 + 24);
        assert!(prefix.contains(Address::from_v4([192, 0, 2, 1])));
        assert!(!prefix.contains(Address::from_v4([192, 0, 3, 1])));
        assert!(!prefix.contains(Address::from_v6([0x20; 16])));
    }

    #[test]
    fn prefix_lengths_at_both_ends() {
        let any = Prefix::new(Address::from_v6([0xff; 16]), 0);
        assert!(any.contains(Address::UNSPECIFIED) && any.contains(Address::from_v4([1, 2, 3, 4])));
        let one = Prefix::new(Address::from_v6([7; 16]), 128);
        assert!(one.contains(Address::from_v6([7; 16])) && !one.contains(Address::UNSPECIFIED));
    }

    #[test]
    fn octets_round_trip() {
        let octets = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
        assert_eq!(Address::from_v6(octets).octets(), octets);
        assert!(Address::from_v4([10, 0, 0, 1]).is_v4() && !Address::UNSPECIFIED.is_v4());
    }
}
