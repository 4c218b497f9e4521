//! Kernels whose structures differ from those that tcptrace knows: other offsets, other widths, missing members.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "common/blob.rs"]
mod blob;

use std::collections::HashMap;

use blob::Blob;
use proptest::prelude::*;
use tcptrace::bpf::{Btf, BtfError, LayoutError, sock_layout};
use tcptrace_common::{Config, Known};

/// The structures that tcptrace reads, one in each line, `member:type@offset`. A type is a size or another structure;
/// `member:bit@17.3` is a bit field. An enumeration is `enum name A=1 B=2`, where `-` is no name.
const KERNEL: &str = "
possible_net { net:8@0 }
sock_common { skc_daddr:4@0 skc_rcv_saddr:4@4 skc_dport:2@12 skc_num:2@14 skc_family:2@16 skc_state:1@18 skc_net:possible_net@48 \
    skc_v6_daddr:16@56 skc_v6_rcv_saddr:16@72 skc_cookie:8@88 }
lock { owned:4@4 }
sock { __sk_common:sock_common@0 sk_lock:lock@152 sk_type:2@530 sk_protocol:2@532 sk_err:4@604 }
inet { sk:sock@0 inet_saddr:4@800 inet_sport:2@806 }
connection { icsk_inet:inet@0 }
tcp_sock { inet_conn:connection@0 bytes_received:8@1400 bytes_acked:8@1408 srtt_us:4@1500 total_retrans:4@1600 }
ns { inum:4@16 }
net { ns:ns@100 }
kuid { val:4@0 }
cred { uid:kuid@8 }
kernfs_node { id:8@96 }
cgroup { kn:8@256 }
css_set { dfl_cgrp:8@136 }
inode { i_ino:8@64 }
file { f_inode:8@32 }
socket { sk:8@24 }
task_struct { flags:4@44 pid:4@2464 tgid:4@2468 cred:8@3016 comm:16@3040 cgroups:8@3300 }
";

const ALL: u32 = Known::SOCK
    | Known::NETNS
    | Known::LOCK
    | Known::ERROR
    | Known::COOKIE_FIELD
    | Known::TASK
    | Known::FILE
    | Known::METRICS;

/// BTF with the structures of such a text.
fn btf(text: &str) -> Vec<u8> {
    let mut blob = Blob::default();
    // Id and size of each type, by its name in the text.
    let mut types: HashMap<String, (u32, u32)> = HashMap::new();
    for (id, size) in (1..).zip([1, 2, 4, 8]) {
        blob.int(&format!("u{}", size * 8), size);
        types.insert(size.to_string(), (id, size));
    }
    blob.array(1, 16);
    types.insert("16".to_owned(), (5, 16));
    for (id, line) in (6..).zip(text.lines().filter(|line| !line.trim().is_empty())) {
        if let Some(line) = line.strip_prefix("enum ") {
            let mut words = line.split_whitespace();
            let name = words.next().unwrap().replace('-', "");
            let enumerators = words.map(|word| word.split_once('=').unwrap());
            let enumerators: Vec<_> =
                enumerators.map(|(name, value)| (name, value.parse().unwrap())).collect();
            blob.enumeration(&name, &enumerators);
            continue;
        }
        let bit_fields = line.contains(":bit@");
        let (name, body) = line.split_once('{').unwrap();
        let (mut members, mut size) = (Vec::new(), 0);
        for member in body.trim_end_matches(['}', ' ']).split_whitespace() {
            let (name, place) = member.split_once(':').unwrap();
            let (kind, offset) = place.split_once('@').unwrap();
            if kind == "bit" {
                let (byte, bit) = offset.split_once('.').unwrap();
                let (byte, bit) = (byte.parse::<u32>().unwrap(), bit.parse::<u32>().unwrap());
                members.push((name, 1, 1 << 24 | (byte * 8 + bit)));
                size = size.max(byte + 1);
                continue;
            }
            let ((ty, width), offset) = (types[kind], offset.parse::<u32>().unwrap());
            members.push((name, ty, offset * 8));
            size = size.max(offset + width);
        }
        blob.composite(4, name.trim(), size, bit_fields, &members);
        types.insert(name.trim().to_owned(), (id, size));
    }
    blob.finish()
}

fn layout_of(text: &str) -> Result<Config, LayoutError> {
    let data = btf(text);
    let mut config = Config::EMPTY;
    sock_layout(&Btf::parse(&data).unwrap(), &mut config).map(|()| config)
}

/// The text without one member.
fn without(member: &str) -> String {
    changed(member, "")
}

/// The text with a member replaced.
fn changed(member: &str, by: &str) -> String {
    let text = KERNEL.replacen(&format!(" {member} "), &format!(" {by} "), 1);
    assert_ne!(text, KERNEL, "{member} is in there");
    text
}

#[test]
fn everything_is_found() {
    let Config { known, fields, .. } = layout_of(KERNEL).unwrap();
    assert_eq!(known, ALL);
    assert_eq!((fields.sock.family, fields.sock.num, fields.sock.cookie), (16, 14, 88));
    assert_eq!((fields.sock.lock_owned, fields.sock.err, fields.sock.protocol), (156, 604, 532));
    assert_eq!((fields.sock.net, fields.sock.net_inum), (48, 116));
    assert_eq!((fields.tcp.sport, fields.tcp.saddr, fields.tcp.srtt_us), (806, 800, 1500));
    assert_eq!((fields.task.comm, fields.task.cred_uid, fields.task.kn_id), (3040, 8, 96));
    assert_eq!((fields.file.inode, fields.file.ino, fields.file.sk), (32, 64, 24));
    assert_eq!((fields.sock.state, fields.sock.kind), (18, 530));
}

/// The fields that show why a connection ended, and the bits of `facts` and `masks`: `inet` and `tcp_sock` with more
/// members.
const EVIDENCE: [(&str, &str); 6] = [
    ("skc_cookie:8@88 }", "skc_cookie:8@88 skc_flags:8@96 }"),
    ("sk_err:4@604 }", "sk_err:4@604 sk_lingertime:8@640 sk_shutdown:1@650 }"),
    (
        "connection { icsk_inet:inet@0 }",
        "connection { icsk_inet:inet@0 icsk_user_timeout:4@900 icsk_retransmits:1@904 icsk_probes_out:1@905 }",
    ),
    (
        "total_retrans:4@1600 }",
        "total_retrans:4@1600 segs_out:4@1604 write_seq:4@1608 snd_nxt:4@1612 rcv_nxt:4@1616 copied_seq:4@1620 \
    repair:bit@1624.5 }",
    ),
    ("net { ns:ns@100 }", "netns_bpf { run_array:16@8 }\nnet { ns:ns@100 bpf:netns_bpf@200 }"),
    (
        "\npossible_net",
        "\nenum sock_flags SOCK_DONE=1 SOCK_RCU_FREE=23\nenum netns_bpf_attach_type NETNS_BPF_SK_LOOKUP=1\npossible_net",
    ),
];

fn with_evidence(more: &[(&str, &str)]) -> Config {
    let text = EVIDENCE.iter().chain(more).fold(KERNEL.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    });
    layout_of(&text).unwrap()
}

#[test]
fn single_bits_are_found_as_bit_fields_or_by_their_numbers() {
    let common = ALL | Known::EVIDENCE | Known::REPAIR | Known::LISTENED | Known::LOOKUP;
    let bare = with_evidence(&[]);
    assert_eq!(bare.known, common);
    assert_eq!((bare.fields.tcp.repair, bare.masks.repair, bare.masks.rcu_free), (1624, 1 << 5, 23));
    assert_eq!(bare.fields.sock.net_lookup, 200 + 8 + 8);
    // Linux up to 6.5.
    let fields = [("inet_sport:2@806 }", "inet_sport:2@806 transparent:bit@820.6 defer_connect:bit@821.2 }")];
    let (fields, both) = (with_evidence(&fields), common | Known::DEFERRED | Known::TRANSPARENT);
    assert_eq!(fields.known, both);
    assert_eq!((fields.fields.tcp.transparent, fields.masks.transparent), (820, 1 << 6));
    assert_eq!((fields.fields.tcp.deferred, fields.masks.deferred), (821, 1 << 2));
    // From 6.6 on.
    let numbers = [
        ("inet_sport:2@806 }", "inet_sport:2@806 inet_flags:8@824 }"),
        ("\npossible_net", "\nenum - INET_FLAGS_TRANSPARENT=15 INET_FLAGS_DEFER_CONNECT=19\npossible_net"),
    ];
    let numbers = with_evidence(&numbers);
    assert_eq!(numbers.known, both);
    assert_eq!((numbers.fields.tcp.transparent, numbers.masks.transparent), (825, 1 << 7));
    assert_eq!((numbers.fields.tcp.deferred, numbers.masks.deferred), (826, 1 << 3));
    // Each member missing alone.
    for (from, to, lacks) in [
        ("repair:bit@1624.5", "repair:1@1624", Known::REPAIR),
        ("SOCK_RCU_FREE=23", "SOCK_RCU_FREE=64", Known::LISTENED),
        ("SK_LOOKUP=1", "SK_LOOKUP=2", Known::LOOKUP),
        ("run_array:16@8", "progs:16@8", Known::LOOKUP),
        ("netns_bpf@200", "netns_bpf@32760", Known::LOOKUP),
    ] {
        assert_eq!(with_evidence(&[(from, to)]).known, common & !lacks, "{to}");
    }
}

#[test]
fn shifted_members_are_found_where_they_are() {
    let text = KERNEL
        .replace("sk_err:4@604", "sk_err:4@612")
        .replace("__sk_common:sock_common@0", "__sk_common:sock_common@8");
    let text = text
        .replace("sk_lock:lock@152", "sk_lock:lock@160")
        .replace("sk_protocol:2@532", "sk_protocol:2@540");
    let (shifted, usual) = (layout_of(&text).unwrap(), layout_of(KERNEL).unwrap());
    assert_eq!(shifted.known, ALL);
    let (shifted, usual) = (shifted.fields.sock, usual.fields.sock);
    for (there, here) in [
        (shifted.family, usual.family),
        (shifted.v6_daddr, usual.v6_daddr),
        (shifted.lock_owned, usual.lock_owned),
        (shifted.protocol, usual.protocol),
        (shifted.err, usual.err),
    ] {
        assert_eq!(there, here + 8);
    }
    assert_eq!(shifted.net_inum, usual.net_inum, "of another structure");
}

/// Member, width and path of the fields that tracing needs.
const REQUIRED: [(&str, u32, &str); 10] = [
    ("skc_family:2@16", 2, "sock.__sk_common.skc_family"),
    ("skc_dport:2@12", 2, "sock.__sk_common.skc_dport"),
    ("skc_num:2@14", 2, "sock.__sk_common.skc_num"),
    ("skc_daddr:4@0", 4, "sock.__sk_common.skc_daddr"),
    ("skc_rcv_saddr:4@4", 4, "sock.__sk_common.skc_rcv_saddr"),
    ("skc_v6_daddr:16@56", 16, "sock.__sk_common.skc_v6_daddr"),
    ("skc_v6_rcv_saddr:16@72", 16, "sock.__sk_common.skc_v6_rcv_saddr"),
    ("sk_protocol:2@532", 2, "sock.sk_protocol"),
    ("inet_sport:2@806", 2, "tcp_sock.inet_conn.icsk_inet.inet_sport"),
    ("inet_saddr:4@800", 4, "tcp_sock.inet_conn.icsk_inet.inet_saddr"),
];

#[test]
fn what_is_required_is_refused_when_it_is_missing_or_has_another_width() {
    for (member, expected, path) in REQUIRED {
        let missing = layout_of(&without(member)).unwrap_err();
        assert_eq!(missing, LayoutError::Btf(BtfError::NoField(path.to_owned())));
        assert!(missing.to_string().contains(path), "it is named: {missing}");
        let (name, place) = member.split_once(':').unwrap();
        let (_, offset) = place.split_once('@').unwrap();
        for found in [1, 2, 4, 8, 16_u32].into_iter().filter(|width| *width != expected) {
            let other = changed(member, &format!("{name}:{found}@{offset}"));
            assert_eq!(layout_of(&other), Err(LayoutError::Width { path, found, expected }));
        }
    }
}

/// Optional members, and the bit of each.
const OPTIONAL: [(&str, u32); 18] = [
    ("skc_net:possible_net@48", Known::NETNS),
    ("inum:4@16", Known::NETNS),
    ("owned:4@4", Known::LOCK),
    ("sk_err:4@604", Known::ERROR),
    ("skc_cookie:8@88", Known::COOKIE_FIELD),
    ("bytes_acked:8@1408", Known::METRICS),
    ("bytes_received:8@1400", Known::METRICS),
    ("srtt_us:4@1500", Known::METRICS),
    ("total_retrans:4@1600", Known::METRICS),
    ("flags:4@44", Known::TASK),
    ("comm:16@3040", Known::TASK),
    ("val:4@0", Known::TASK),
    ("dfl_cgrp:8@136", Known::TASK),
    ("skc_state:1@18", Known::FILE),
    ("sk_type:2@530", Known::FILE),
    ("f_inode:8@32", Known::FILE),
    ("i_ino:8@64", Known::FILE),
    ("sk:8@24", Known::FILE),
];

/// A missing member disables only the fields that depend on it, and all of these.
#[test]
fn what_is_optional_is_left_out_when_it_is_missing_or_has_another_width() {
    for (member, bit) in OPTIONAL {
        let (name, place) = member.split_once(':').unwrap();
        let (_, offset) = place.split_once('@').unwrap();
        let other = if place.starts_with('1') { 2 } else { 1 };
        for text in [without(member), changed(member, &format!("{name}:{other}@{offset}"))] {
            assert_eq!(layout_of(&text).unwrap().known, ALL & !bit, "{member}");
        }
    }
}

#[test]
fn without_a_structure() {
    let without = |name: &str| -> String {
        KERNEL.split_inclusive('\n').filter(|line| !line.starts_with(name)).collect()
    };
    let path = "tcp_sock.inet_conn.icsk_inet.inet_sport".to_owned();
    assert_eq!(layout_of(&without("tcp_sock ")), Err(LayoutError::Btf(BtfError::NoField(path))));
    assert_eq!(layout_of(&without("task_struct ")).unwrap().known, ALL & !Known::TASK);
    assert_eq!(layout_of(&without("net ")).unwrap().known, ALL & !Known::NETNS);
    assert_eq!(layout_of(&without("socket ")).unwrap().known, ALL & !Known::FILE);
}

/// Offsets have sixteen bits with a sign. One instruction cannot load a field further inside.
#[test]
fn what_no_instruction_reaches_is_refused_or_left_out() {
    let last = changed("inet_sport:2@806", "inet_sport:2@32766");
    assert_eq!(layout_of(&last).unwrap().fields.tcp.sport, 32_766);
    let far = changed("inet_sport:2@806", "inet_sport:2@32767");
    let path = "tcp_sock.inet_conn.icsk_inet.inet_sport";
    assert_eq!(layout_of(&far), Err(LayoutError::TooFar { path, offset: 32_767 }));
    let far = changed("sk_err:4@604", "sk_err:4@40000");
    // The structures that contain a sock grow as well.
    assert_eq!(layout_of(&far).unwrap().known, ALL & !Known::ERROR);
}

#[test]
fn damaged_type_information_is_refused() {
    let whole = btf(KERNEL);
    assert!(Btf::parse(&whole).is_ok());
    for cut in [0, 1, 2, 10, 23, 24, whole.len() / 2, whole.len() - 1] {
        assert!(matches!(Btf::parse(&whole[..cut]), Err(BtfError::Damaged(_))), "the first {cut} bytes");
    }
    let swapped: Vec<u8> = whole.chunks(2).flat_map(|pair| pair.iter().rev().copied()).collect();
    assert_eq!(Btf::parse(&swapped).unwrap_err(), BtfError::Damaged(0), "of the other byte order");
    assert_eq!(Btf::parse(b"\x7fELF and more than twenty-four bytes").unwrap_err(), BtfError::Damaged(0));
}

proptest! {
    /// Whatever the bytes are, each layout that is accepted can be loaded.
    #[test]
    fn what_is_accepted_is_in_reach(changes in prop::collection::vec((0_usize..4_000, any::<u8>()), 1..8)) {
        let mut data = btf(KERNEL);
        for (at, byte) in changes {
            let at = at % data.len();
            data[at] = byte;
        }
        let mut config = Config::EMPTY;
        let Ok(btf) = Btf::parse(&data) else { return Ok(()) };
        if sock_layout(&btf, &mut config).is_ok() {
            let sock = config.fields.sock;
            for (offset, width) in [(sock.family, 2), (sock.num, 2), (sock.v6_rcv_saddr, 16), (sock.err, 4)] {
                prop_assert!(offset + width <= 1 << 15, "{config:?}");
            }
        }
    }
}
