//! Single values in messages: numbers, texts, addresses.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use super::{
    Bytes, Malformed, Wire, put,
    several::{array, elements},
};

macro_rules! number {
    ($($type:ty $({ $($more:item)* })?),*) => { $(
        impl Wire for $type {
            fn absent() -> Self {
                0
            }

            fn is_absent(&self) -> bool {
                *self == 0
            }

            fn write(&self, out: &mut Vec<u8>) {
                put::uint(out, u64::from(*self));
            }

            fn read(input: &mut Bytes<'_>) -> Result<Self, Malformed> {
                Self::try_from(input.uint()?).map_err(|_| Malformed::RANGE)
            }

            $($($more)*)?

            #[cfg(test)]
            fn some(chance: &mut super::tests::Chance) -> Self {
                Self::try_from(chance.number() & u64::from(Self::MAX)).unwrap_or(0)
            }
        }
    )* };
}

number!(u16, u32, u64, u8 {
    // Several are bytes; versions before 5 have them as elements.
    fn write_all(all: &[Self], out: &mut Vec<u8>) {
        put::bytes(out, all);
    }

    fn read_vec(input: &mut Bytes<'_>) -> Result<Vec<Self>, Malformed> {
        if input.is_array() { elements(input) } else { input.bytes().map(<[u8]>::to_vec) }
    }

    fn read_array<const N: usize>(input: &mut Bytes<'_>) -> Result<[Self; N], Malformed> {
        if input.is_array() {
            return array(input);
        }
        let (mut array, bytes) = ([0; N], input.bytes()?);
        let len = bytes.len().min(N);
        array[..len].copy_from_slice(&bytes[..len]);
        Ok(array)
    }
});

impl Wire for i64 {
    fn absent() -> Self {
        0
    }

    fn is_absent(&self) -> bool {
        *self == 0
    }

    fn write(&self, out: &mut Vec<u8>) {
        put::int(out, *self);
    }

    fn read(input: &mut Bytes<'_>) -> Result<Self, Malformed> {
        input.int()
    }

    #[cfg(test)]
    fn some(chance: &mut super::tests::Chance) -> Self {
        Self::from_be_bytes(chance.number().to_be_bytes())
    }
}

impl Wire for usize {
    fn absent() -> Self {
        0
    }

    fn is_absent(&self) -> bool {
        *self == 0
    }

    fn write(&self, out: &mut Vec<u8>) {
        put::uint(out, u64::try_from(*self).unwrap_or(u64::MAX));
    }

    fn read(input: &mut Bytes<'_>) -> Result<Self, Malformed> {
        Self::try_from(input.uint()?).map_err(|_| Malformed::RANGE)
    }

    #[cfg(test)]
    fn some(chance: &mut super::tests::Chance) -> Self {
        usize::try_from(chance.number() >> 1).unwrap_or(0)
    }
}

impl Wire for bool {
    fn absent() -> Self {
        false
    }

    fn is_absent(&self) -> bool {
        !self
    }

    fn write(&self, out: &mut Vec<u8>) {
        put::bool(out, *self);
    }

    fn read(input: &mut Bytes<'_>) -> Result<Self, Malformed> {
        input.bool()
    }

    #[cfg(test)]
    fn some(chance: &mut super::tests::Chance) -> Self {
        chance.byte() & 1 == 1
    }
}

/// Nothing at all.
impl Wire for () {
    fn absent() -> Self {}

    fn write(&self, out: &mut Vec<u8>) {
        put::nil(out);
    }

    fn read(input: &mut Bytes<'_>) -> Result<Self, Malformed> {
        input.skip()
    }

    #[cfg(test)]
    fn some(_: &mut super::tests::Chance) -> Self {}
}

/// Sixteen bytes, the most significant first.
impl Wire for i128 {
    fn absent() -> Self {
        0
    }

    fn write(&self, out: &mut Vec<u8>) {
        put::bytes(out, &self.to_be_bytes());
    }

    fn read(input: &mut Bytes<'_>) -> Result<Self, Malformed> {
        let bytes = input.bytes()?.try_into().map_err(|_| Malformed::RANGE)?;
        Ok(Self::from_be_bytes(bytes))
    }

    #[cfg(test)]
    fn some(chance: &mut super::tests::Chance) -> Self {
        i128::from(chance.number()) - i128::from(chance.number())
    }
}

macro_rules! text {
    ($($type:ty),*) => { $(
        impl Wire for $type {
            fn absent() -> Self {
                "".into()
            }

            fn is_absent(&self) -> bool {
                self.is_empty()
            }

            fn write(&self, out: &mut Vec<u8>) {
                put::text(out, self);
            }

            fn read(input: &mut Bytes<'_>) -> Result<Self, Malformed> {
                let text = std::str::from_utf8(input.bytes()?);
                text.map(Into::into).map_err(|_| Malformed::Because("a text is not UTF-8"))
            }

            #[cfg(test)]
            fn some(chance: &mut super::tests::Chance) -> Self {
                chance.text().into()
            }
        }
    )* };
}

text!(String, Arc<str>);

/// Four bytes, or sixteen. Versions before 5 have a name in front of them.
impl Wire for IpAddr {
    fn absent() -> Self {
        Self::V4(Ipv4Addr::UNSPECIFIED)
    }

    fn is_absent(&self) -> bool {
        *self == Self::absent()
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::V4(v4) => put::bytes(out, &v4.octets()),
            Self::V6(v6) => put::bytes(out, &v6.octets()),
        }
    }

    fn read(input: &mut Bytes<'_>) -> Result<Self, Malformed> {
        if input.is_map() {
            return match input.choice(&[(b"V4", 4), (b"V6", 6)])? {
                (4, true) => Ok(Ipv4Addr::from(<[u8; 4]>::read(input)?).into()),
                (6, true) => Ok(Ipv6Addr::from(<[u8; 16]>::read(input)?).into()),
                _ => Err(Malformed::Unknown),
            };
        }
        let bytes = input.bytes()?;
        let v4 = bytes.try_into().map(|bytes: [u8; 4]| bytes.into());
        v4.or_else(|_| bytes.try_into().map(|bytes: [u8; 16]| bytes.into())).map_err(|_| Malformed::RANGE)
    }

    #[cfg(test)]
    fn some(chance: &mut super::tests::Chance) -> Self {
        if chance.byte() & 1 == 0 {
            Self::from(<[u8; 4]>::some(chance))
        } else {
            Self::from(<[u8; 16]>::some(chance))
        }
    }
}

/// Seconds and nanoseconds.
impl Wire for Duration {
    fn absent() -> Self {
        Self::ZERO
    }

    fn is_absent(&self) -> bool {
        self.is_zero()
    }

    fn write(&self, out: &mut Vec<u8>) {
        (self.as_secs(), self.subsec_nanos()).write(out);
    }

    fn read(input: &mut Bytes<'_>) -> Result<Self, Malformed> {
        let (seconds, nanoseconds) = Wire::read(input)?;
        if nanoseconds < 1_000_000_000 { Ok(Self::new(seconds, nanoseconds)) } else { Err(Malformed::RANGE) }
    }

    #[cfg(test)]
    fn some(chance: &mut super::tests::Chance) -> Self {
        Self::new(chance.number() >> 1, u32::some(chance) % 1_000_000_000)
    }
}
