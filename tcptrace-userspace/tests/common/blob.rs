//! BTF made in a test.

#![allow(dead_code, reason = "each test program uses its part")]

/// Makes BTF blobs (`Documentation/bpf/btf.rst`).
#[derive(Default)]
pub(crate) struct Blob {
    types: Vec<u8>,
    strings: Vec<u8>,
}

impl Blob {
    pub(crate) fn name(&mut self, name: &str) -> u32 {
        if self.strings.is_empty() {
            self.strings.push(0);
        }
        if name.is_empty() {
            return 0;
        }
        let at = u32::try_from(self.strings.len()).unwrap();
        self.strings.extend(name.as_bytes());
        self.strings.push(0);
        at
    }

    pub(crate) fn words(&mut self, words: &[u32]) {
        for word in words {
            self.types.extend(word.to_ne_bytes());
        }
    }

    pub(crate) fn int(&mut self, name: &str, size: u32) {
        let name = self.name(name);
        self.words(&[name, 1 << 24, size, size * 8]);
    }

    /// Members: name, type, offset in bits.
    pub(crate) fn composite(
        &mut self,
        kind: u32,
        name: &str,
        size: u32,
        bit_fields: bool,
        members: &[(&str, u32, u32)],
    ) {
        let members: Vec<_> = members.iter().map(|(name, ty, at)| (self.name(name), *ty, *at)).collect();
        let name = self.name(name);
        let count = u32::try_from(members.len()).unwrap();
        self.words(&[name, u32::from(bit_fields) << 31 | kind << 24 | count, size]);
        for (name, ty, at) in members {
            self.words(&[name, ty, at]);
        }
    }

    pub(crate) fn typedef(&mut self, name: &str, ty: u32) {
        let name = self.name(name);
        self.words(&[name, 8 << 24, ty]);
    }

    pub(crate) fn array(&mut self, element: u32, count: u32) {
        self.words(&[0, 3 << 24, 0, element, 1, count]);
    }

    /// Enumerators: name, value.
    pub(crate) fn enumeration(&mut self, name: &str, enumerators: &[(&str, u32)]) {
        let enumerators: Vec<_> = enumerators.iter().map(|(name, value)| (self.name(name), *value)).collect();
        let name = self.name(name);
        self.words(&[name, 6 << 24 | u32::try_from(enumerators.len()).unwrap(), 4]);
        for (name, value) in enumerators {
            self.words(&[name, value]);
        }
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        let types = u32::try_from(self.types.len()).unwrap();
        let strings = u32::try_from(self.strings.len()).unwrap();
        let mut blob = vec![];
        blob.extend(0xeb9f_u16.to_ne_bytes());
        blob.extend([1, 0]);
        for word in [24, 0, types, types, strings] {
            blob.extend(word.to_ne_bytes());
        }
        blob.extend(self.types);
        blob.extend(self.strings);
        blob
    }
}
