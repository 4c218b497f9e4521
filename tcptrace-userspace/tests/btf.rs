//! Reading BTF: a small one made here, the running kernel's, and damaged ones.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use proptest::prelude::*;
use tcptrace::bpf::{Btf, BtfError, Field};

/// Makes BTF blobs (`Documentation/bpf/btf.rst`).
#[derive(Default)]
struct Blob {
    types: Vec<u8>,
    strings: Vec<u8>,
}

impl Blob {
    fn name(&mut self, name: &str) -> u32 {
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

    fn words(&mut self, words: &[u32]) {
        for word in words {
            self.types.extend(word.to_ne_bytes());
        }
    }

    fn int(&mut self, name: &str, size: u32) {
        let name = self.name(name);
        self.words(&[name, 1 << 24, size, size * 8]);
    }

    /// Members: name, type, offset in bits.
    fn composite(
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

    fn typedef(&mut self, name: &str, ty: u32) {
        let name = self.name(name);
        self.words(&[name, 8 << 24, ty]);
    }

    fn array(&mut self, element: u32, count: u32) {
        self.words(&[0, 3 << 24, 0, element, 1, count]);
    }

    fn finish(self) -> Vec<u8> {
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

/// `struct sock { struct { union { u16 pad; u16 skc_num; }; lock_t lock; } common; u16 flag:1; u8 name[16]; }`
fn sample() -> Vec<u8> {
    let mut blob = Blob::default();
    blob.int("u16", 2); // 1
    blob.int("u8", 1); // 2
    blob.composite(5, "", 2, false, &[("pad", 1, 0), ("skc_num", 1, 0)]); // 3
    blob.composite(4, "", 4, false, &[("slock", 1, 0), ("owned", 1, 16)]); // 4
    blob.typedef("lock_t", 4); // 5
    blob.composite(4, "sock_common", 8, false, &[("", 3, 16), ("lock", 5, 32)]); // 6
    blob.array(2, 16); // 7
    blob.composite(4, "sock", 26, true, &[("common", 6, 0), ("flag", 1, 1 << 24 | 64), ("name", 7, 80)]); // 8
    blob.finish()
}

#[test]
fn members_are_found_through_unnamed_ones_and_typedefs() {
    let data = sample();
    let btf = Btf::parse(&data).unwrap();
    assert_eq!(btf.field("sock.common.skc_num"), Ok(Field { offset: 2, size: 2 }));
    assert_eq!(btf.field("sock.common.lock.owned"), Ok(Field { offset: 6, size: 2 }));
    assert_eq!(btf.field("sock.name"), Ok(Field { offset: 10, size: 16 }));
}

#[test]
fn what_is_not_there_is_named() {
    let data = sample();
    let btf = Btf::parse(&data).unwrap();
    for path in ["sock.common.skc_mark", "net.ns", "sock.name.x", ""] {
        assert_eq!(btf.field(path), Err(BtfError::NoField(path.to_owned())));
    }
    assert_eq!(btf.field("sock.flag"), Err(BtfError::BitField("sock.flag".to_owned())));
}

#[test]
fn unknown_kinds_and_other_files_are_refused() {
    assert_eq!(Btf::parse(b"\x7fELF").unwrap_err(), BtfError::Damaged(0));
    let mut blob = Blob::default();
    blob.words(&[0, 31 << 24, 0]);
    assert_eq!(Btf::parse(&blob.finish()).unwrap_err(), BtfError::UnknownKind(31));
}

#[test]
fn the_running_kernel_has_what_tracing_needs() {
    let Ok(data) = std::fs::read("/sys/kernel/btf/vmlinux") else {
        println!("SKIPPED: this kernel has no BTF");
        return;
    };
    let btf = Btf::parse(&data).unwrap();
    let family = btf.field("sock.__sk_common.skc_family").unwrap();
    let number = btf.field("sock.__sk_common.skc_num").unwrap();
    assert_eq!((family.size, number.size), (2, 2));
    assert!(btf.field("tcp_sock.inet_conn.icsk_inet.inet_sport").unwrap().offset > family.offset);
}

proptest! {
    #[test]
    fn damage_never_panics(at in 0_usize..400, byte in any::<u8>(), cut in 0_usize..400) {
        let mut data = sample();
        let len = data.len();
        data[at % len] = byte;
        data.truncate(len - cut % len);
        if let Ok(btf) = Btf::parse(&data) {
            for path in ["sock.common.skc_num", "sock.common.lock.owned", "sock.name", "sock.flag"] {
                let _ = btf.field(path);
            }
        }
    }
}
