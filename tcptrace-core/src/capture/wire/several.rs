//! Values in messages that contain other values.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher, Hash},
    sync::Arc,
};

use super::{Bytes, Malformed, Wire, put};

impl<T: Wire> Wire for Option<T> {
    fn absent() -> Self {
        None
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            None => put::nil(out),
            Some(value) => value.write(out),
        }
    }

    fn read(input: &mut Bytes<'_>) -> Result<Self, Malformed> {
        if input.is_nil() { Ok(None) } else { T::read(input).map(Some) }
    }

    #[cfg(test)]
    fn some(chance: &mut super::tests::Chance) -> Self {
        (chance.byte() & 1 == 1).then(|| T::some(chance))
    }
}

impl<T: Wire, E: Wire> Wire for Result<T, E> {
    fn absent() -> Self {
        Ok(T::absent())
    }

    fn write(&self, out: &mut Vec<u8>) {
        put::map(out, 1);
        match self {
            Ok(value) => {
                put::uint(out, 0);
                value.write(out);
            }
            Err(error) => {
                put::uint(out, 1);
                error.write(out);
            }
        }
    }

    fn read(input: &mut Bytes<'_>) -> Result<Self, Malformed> {
        match input.choice(&[(b"Ok", 0), (b"Err", 1)])? {
            (0, true) => T::read(input).map(Ok),
            (1, true) => E::read(input).map(Err),
            _ => Err(Malformed::Unknown),
        }
    }

    #[cfg(test)]
    fn some(chance: &mut super::tests::Chance) -> Self {
        if chance.byte() & 1 == 0 { Ok(T::some(chance)) } else { Err(E::some(chance)) }
    }
}

macro_rules! pointer {
    ($($type:ident),*) => { $(
        impl<T: Wire> Wire for $type<T> {
            fn absent() -> Self {
                Self::new(T::absent())
            }

            fn write(&self, out: &mut Vec<u8>) {
                T::write(self, out);
            }

            fn read(input: &mut Bytes<'_>) -> Result<Self, Malformed> {
                input.charge::<T>(1)?;
                T::read(input).map(Self::new)
            }

            #[cfg(test)]
            fn some(chance: &mut super::tests::Chance) -> Self {
                Self::new(T::some(chance))
            }
        }
    )* };
}

pointer!(Arc, Box);

/// Reads all elements.
pub(super) fn elements<T: Wire>(input: &mut Bytes<'_>) -> Result<Vec<T>, Malformed> {
    let len = input.array()?;
    input.charge::<T>(len)?;
    let mut all = Vec::with_capacity(len);
    for _ in 0..len {
        all.push(T::read(input)?);
    }
    Ok(all)
}

/// Reads as many elements as there are places. More elements are skipped, and missing ones are absent.
pub(super) fn array<T: Wire, const N: usize>(input: &mut Bytes<'_>) -> Result<[T; N], Malformed> {
    let mut all = std::array::from_fn(|_| T::absent());
    for at in 0..input.array()? {
        match all.get_mut(at) {
            Some(place) => *place = T::read(input)?,
            None => input.skip()?,
        }
    }
    Ok(all)
}

impl<T: Wire, const N: usize> Wire for [T; N] {
    fn absent() -> Self {
        std::array::from_fn(|_| T::absent())
    }

    fn is_absent(&self) -> bool {
        self.iter().all(T::is_absent)
    }

    fn write(&self, out: &mut Vec<u8>) {
        T::write_all(self, out);
    }

    fn read(input: &mut Bytes<'_>) -> Result<Self, Malformed> {
        T::read_array(input)
    }

    #[cfg(test)]
    fn some(chance: &mut super::tests::Chance) -> Self {
        std::array::from_fn(|_| T::some(chance))
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn absent() -> Self {
        Self::new()
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }

    fn write(&self, out: &mut Vec<u8>) {
        T::write_all(self, out);
    }

    fn read(input: &mut Bytes<'_>) -> Result<Self, Malformed> {
        T::read_vec(input)
    }

    #[cfg(test)]
    fn some(chance: &mut super::tests::Chance) -> Self {
        (0..chance.byte() % 4).map(|_| T::some(chance)).collect()
    }
}

impl Wire for Arc<[u32]> {
    fn absent() -> Self {
        Self::from([])
    }

    fn write(&self, out: &mut Vec<u8>) {
        u32::write_all(self, out);
    }

    fn read(input: &mut Bytes<'_>) -> Result<Self, Malformed> {
        u32::read_vec(input).map(Self::from)
    }

    #[cfg(test)]
    fn some(chance: &mut super::tests::Chance) -> Self {
        Vec::some(chance).into()
    }
}

macro_rules! tuple {
    ($count:literal: $($name:ident)*) => {
        impl<$($name: Wire),*> Wire for ($($name,)*) {
            fn absent() -> Self {
                ($($name::absent(),)*)
            }

            fn is_absent(&self) -> bool {
                #[expect(non_snake_case, reason = "the names of their types")]
                let ($($name,)*) = self;
                $($name.is_absent())&&*
            }

            fn write(&self, out: &mut Vec<u8>) {
                #[expect(non_snake_case, reason = "the names of their types")]
                let ($($name,)*) = self;
                put::array(out, $count);
                $($name.write(out);)*
            }

            fn read(input: &mut Bytes<'_>) -> Result<Self, Malformed> {
                if input.array()? == $count { Ok(($($name::read(input)?,)*)) } else { Err(Malformed::RANGE) }
            }

            #[cfg(test)]
            fn some(chance: &mut super::tests::Chance) -> Self {
                ($($name::some(chance),)*)
            }
        }
    };
}

tuple!(2: A B);
tuple!(3: A B C);
tuple!(4: A B C D);

/// Pairs. Up to half of the places of a map are free.
macro_rules! map {
    ($(|$len:ident| $empty:expr => $map:ty where [$($generics:tt)*];)*) => { $(
        impl<$($generics)*> Wire for $map {
            fn absent() -> Self {
                Self::default()
            }

            fn is_absent(&self) -> bool {
                self.is_empty()
            }

            fn write(&self, out: &mut Vec<u8>) {
                put::map(out, self.len());
                for (key, value) in self {
                    key.write(out);
                    value.write(out);
                }
            }

            fn read(input: &mut Bytes<'_>) -> Result<Self, Malformed> {
                let $len = input.map()?;
                input.charge::<[(K, V); 2]>($len)?;
                let mut map: Self = $empty;
                for _ in 0..$len {
                    map.insert(K::read(input)?, V::read(input)?);
                }
                Ok(map)
            }

            #[cfg(test)]
            fn some(chance: &mut super::tests::Chance) -> Self {
                Option::<(K, V)>::some(chance).into_iter().collect()
            }
        }
    )* };
}

map! {
    |len| Self::with_capacity_and_hasher(len, S::default()) =>
        HashMap<K, V, S> where [K: Wire + Eq + Hash, V: Wire, S: BuildHasher + Default];
    |len| Self::new() => BTreeMap<K, V> where [K: Wire + Ord, V: Wire];
}
