//! Reading BTF: a small one made here, the running kernel's, and damaged ones.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "common/blob.rs"]
mod blob;

use blob::Blob;
use proptest::prelude::*;
use tcptrace::bpf::{Btf, BtfError, Field};

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

/// A structure that is shorter than its members cannot be trusted.
#[test]
fn members_outside_of_their_structure_are_refused() {
    let mut blob = Blob::default();
    blob.int("u32", 4);
    blob.composite(4, "net", 8, false, &[("inside", 1, 32), ("across", 1, 48), ("behind", 1, 64)]);
    let data = blob.finish();
    let btf = Btf::parse(&data).unwrap();
    assert_eq!(btf.field("net.inside"), Ok(Field { offset: 4, size: 4 }));
    for path in ["net.across", "net.behind"] {
        assert_eq!(btf.field(path), Err(BtfError::Outside(path.to_owned())));
    }
}

/// A case that the fuzz target `layouts` could not find: sixteen levels of eight members each.
#[test]
fn structures_that_contain_each_other_are_refused_at_once() {
    let mut blob = Blob::default();
    blob.composite(4, "sock", 8, false, &[("", 1, 0); 8]);
    let data = blob.finish();
    let btf = Btf::parse(&data).unwrap();
    let before = std::time::Instant::now();
    assert!(matches!(btf.field("sock.sk_err"), Err(BtfError::Damaged(_))));
    assert!(before.elapsed() < std::time::Duration::from_secs(5));
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
    fn no_bytes_make_it_panic(mut data in prop::collection::vec(any::<u8>(), 0..300), magic in any::<bool>()) {
        if magic && data.len() >= 24 {
            // By its header, it is BTF with types and strings.
            data[..2].copy_from_slice(&0xeb9f_u16.to_ne_bytes());
            let half = u32::try_from((data.len() - 24) / 2).unwrap();
            for (word, value) in (1..6).zip([24, 0, half, half, half]) {
                data[4 * word..4 * word + 4].copy_from_slice(&value.to_ne_bytes());
            }
        }
        if let Ok(btf) = Btf::parse(&data) {
            let _ = (btf.field("sock.name"), btf.field(""));
        }
    }

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
