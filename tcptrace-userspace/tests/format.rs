//! The layout of the tracepoint's record on several kernels, and layouts that are refused.
//!
//! `linux-6.18.format` was recorded there (upstream since 5.6 has the same fields). `rhel-9.format` is made from it:
//! those kernels have one more field in the common header, `common_preempt_lazy_count`, which moves each field of the
//! event by eight bytes. `rhel-8.format` is made from it, too: before 5.6, and in RHEL 8's 4.18, `protocol` is a
//! `__u8`, and the arrays of bytes follow it without padding.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use proptest::prelude::*;
use tcptrace::bpf::{FormatError, parse_format, parse_signals};
use tcptrace_common::{EndsLayout, RecordLayout, SignalLayout};

const LINUX_6_18: &str = include_str!("formats/linux-6.18.format");
const RHEL_9: &str = include_str!("formats/rhel-9.format");
const RHEL_8: &str = include_str!("formats/rhel-8.format");

const USUAL: RecordLayout = RecordLayout {
    size: 72,
    skaddr: 8,
    oldstate: 16,
    newstate: 20,
    sport: 24,
    dport: 26,
    family: 28,
    protocol: 30,
    protocol_size: 2,
    saddr: 32,
    daddr: 36,
    saddr_v6: 40,
    daddr_v6: 56,
};

/// Name, offset and width of each field.
fn fields(layout: &RecordLayout) -> [(&'static str, u32, u32); 11] {
    [
        ("skaddr", layout.skaddr, 8),
        ("oldstate", layout.oldstate, 4),
        ("newstate", layout.newstate, 4),
        ("sport", layout.sport, 2),
        ("dport", layout.dport, 2),
        ("family", layout.family, 2),
        ("protocol", layout.protocol, layout.protocol_size),
        ("saddr", layout.saddr, 4),
        ("daddr", layout.daddr, 4),
        ("saddr_v6", layout.saddr_v6, 16),
        ("daddr_v6", layout.daddr_v6, 16),
    ]
}

/// The text with another line for the field `name`; `None` leaves it out.
fn with(text: &str, name: &str, line: Option<&str>) -> String {
    let is_it = |line: &str| {
        let declaration = line.split(';').next().unwrap_or_default();
        declaration.split([' ', '[']).any(|word| word == name)
    };
    let lines = text.lines().filter_map(|old| if is_it(old) { line } else { Some(old) });
    lines.flat_map(|line| [line, "\n"]).collect()
}

#[test]
fn the_usual_layout() {
    assert_eq!(parse_format(LINUX_6_18), Ok(USUAL));
}

#[test]
fn the_running_kernel_is_understood() {
    let path = "/sys/kernel/tracing/events/sock/inet_sock_set_state/format";
    match std::fs::read_to_string(path) {
        Ok(text) => drop(parse_format(&text).unwrap()),
        Err(error) => println!("SKIPPED: {path}: {error}"),
    }
}

#[test]
fn every_field_may_be_shifted() {
    let layout = parse_format(RHEL_9).unwrap();
    for ((name, there, width), (_, usual, usual_width)) in fields(&layout).into_iter().zip(fields(&USUAL)) {
        assert_eq!((there, width), (usual + 8, usual_width), "{name}");
    }
    assert_eq!(layout.size, 80);
}

#[test]
fn protocol_may_have_one_byte() {
    let narrow = with(LINUX_6_18, "protocol", Some("\tfield:__u8 protocol;\toffset:30;\tsize:1;\tsigned:0;"));
    assert_eq!(parse_format(&narrow), Ok(RecordLayout { protocol_size: 1, ..USUAL }));
}

/// The verifier lets no program load a word from there. tcptrace reports it with more detail than the kernel would.
#[test]
fn what_cannot_be_loaded_is_refused() {
    let unaligned = FormatError::Unaligned { name: "saddr_v6", offset: 39, align: 8 };
    assert_eq!(parse_format(RHEL_8), Err(unaligned.clone()));
    assert!(unaligned.to_string().contains("byte 39"), "{unaligned}");
    let odd = with(LINUX_6_18, "sport", Some("\tfield:__u16 sport;\toffset:77;\tsize:2;"));
    assert_eq!(parse_format(&odd), Err(FormatError::Unaligned { name: "sport", offset: 77, align: 2 }));
}

#[test]
fn each_field_is_needed() {
    assert_eq!(parse_format(""), Err(FormatError::NoField("protocol")));
    for (name, ..) in fields(&USUAL) {
        assert_eq!(parse_format(&with(LINUX_6_18, name, None)), Err(FormatError::NoField(name)));
    }
}

#[test]
fn other_widths_are_refused() {
    for (name, offset, width) in fields(&USUAL) {
        for size in [0, width + 1, width * 2, u32::MAX] {
            let line = format!("\tfield:int {name};\toffset:{offset};\tsize:{size};\tsigned:0;");
            let outcome = parse_format(&with(LINUX_6_18, name, Some(&line)));
            assert_eq!(outcome, Err(FormatError::Width { name, size, expected: width }));
        }
    }
}

#[test]
fn other_places_are_refused() {
    for (name, offset, width) in fields(&USUAL) {
        let at = |offset: u32| {
            let line = format!("\tfield:int {name};\toffset:{offset};\tsize:{width};\tsigned:0;");
            parse_format(&with(LINUX_6_18, name, Some(&line)))
        };
        assert_eq!(at(0), Err(FormatError::Hidden(name)), "the kernel's own bytes");
        assert_eq!(at(RecordLayout::MAX_SIZE), Err(FormatError::TooLong(name)));
        assert_eq!(at(u32::MAX), Err(FormatError::TooLong(name)));
        // Puts the field on the pointer, or the pointer itself on the states.
        let taken = if offset == USUAL.skaddr { USUAL.oldstate } else { USUAL.skaddr };
        assert!(matches!(at(taken), Err(FormatError::Overlap(..))), "{name} at {taken}: {:?}", at(taken));
    }
}

#[test]
fn what_has_two_meanings_is_refused() {
    let ambiguous = Err(FormatError::Ambiguous("saddr"));
    let twice = format!("{LINUX_6_18}\n\tfield:__u8 saddr[4];\toffset:96;\tsize:4;\tsigned:0;\n");
    assert_eq!(parse_format(&twice), ambiguous);
    for line in [
        "\tfield:__data_loc __u8[] saddr;\toffset:32;\tsize:4;\tsigned:0;",
        "\tfield:__rel_loc __u8[] saddr;\toffset:32;\tsize:4;\tsigned:0;",
        "\tfield:__u8 saddr[4];\toffset:-32;\tsize:4;\tsigned:0;",
        "\tfield:__u8 saddr[4];\tsize:4;\toffset:32;\tsigned:0;",
        "\tfield:__u8 saddr[4];",
    ] {
        assert_eq!(parse_format(&with(LINUX_6_18, "saddr", Some(line))), ambiguous, "{line}");
    }
}

/// Asserts that the kernel side can load all fields: within its limit, apart from each other, aligned.
fn assert_sound(layout: &RecordLayout) {
    let fields = fields(layout);
    for (name, offset, width) in fields {
        assert!(offset >= 8 && offset + width <= layout.size, "{name} in {layout:?}");
        let apart = |(_, other, other_width): &(&str, u32, u32)| {
            other + other_width <= offset || offset + width <= *other
        };
        assert_eq!(fields.iter().filter(|other| !apart(other)).count(), 1, "{name} overlaps in {layout:?}");
        assert!(
            matches!(name, "saddr" | "daddr") || offset.is_multiple_of(width.min(8)),
            "{name} in {layout:?}"
        );
    }
    assert!(layout.size <= RecordLayout::MAX_SIZE);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        prop_assert!(parse_format(&text).is_err());
    }

    /// Real files with some characters replaced.
    #[test]
    fn what_is_accepted_is_sound(
        file in prop::sample::select(vec![LINUX_6_18, RHEL_9, RHEL_8]),
        changes in prop::collection::vec((300_usize..1_000, "[0-9;: \tsaddr_v6\n]{0,3}"), 1..6),
    ) {
        let mut text = file.to_owned();
        for (at, with) in changes {
            let at = at.min(text.len() - 1);
            text.replace_range(at..=at, &with);
        }
        if let Ok(layout) = parse_format(&text) {
            assert_sound(&layout);
        }
    }

    /// Fields in any order and with any gaps are read from the offsets that the text gives.
    #[test]
    fn any_sound_layout_is_read_as_it_is(
        order in Just(Vec::from(fields(&USUAL))).prop_shuffle(),
        gaps in prop::collection::vec(0_u32..4, 11),
    ) {
        let (mut text, mut end, mut placed) = (LINUX_6_18.to_owned(), 8, Vec::new());
        for ((name, _, width), gap) in order.into_iter().zip(gaps) {
            let offset = (end + gap).next_multiple_of(width.min(8));
            end = offset + width;
            let line = format!("\tfield:int {name};\toffset:{offset};\tsize:{width};\tsigned:0;");
            text = with(&text, name, Some(&line));
            placed.push((name, offset, width));
        }
        match parse_format(&text) {
            Ok(layout) => {
                assert_sound(&layout);
                prop_assert!(fields(&layout).iter().all(|field| placed.contains(field)), "{layout:?}");
                prop_assert_eq!(layout.size, end);
            }
            Err(error) => prop_assert!(end > RecordLayout::MAX_SIZE, "{} in {}", error, text),
        }
    }
}

/// The events that signals come from, as recorded on Linux 6.18.
fn signal_format(event: &str) -> &'static str {
    match event {
        "tcp/tcp_send_reset" => include_str!("formats/linux-6.18/tcp_send_reset.format"),
        "tcp/tcp_receive_reset" => include_str!("formats/linux-6.18/tcp_receive_reset.format"),
        "tcp/tcp_retransmit_skb" => include_str!("formats/linux-6.18/tcp_retransmit_skb.format"),
        "tcp/tcp_retransmit_synack" => include_str!("formats/linux-6.18/tcp_retransmit_synack.format"),
        "sock/inet_sk_error_report" => include_str!("formats/linux-6.18/inet_sk_error_report.format"),
        _ => panic!("nobody needs {event}"),
    }
}

#[test]
fn signals_are_read_by_name() {
    let layout = SignalLayout {
        send_reset: 16,
        reset_reason: 28,
        receive_reset: 8,
        retransmit: 16,
        error: 8,
        error_protocol: 18,
        error_ends: EndsLayout { sport: 12, dport: 14, saddr_v6: 28, daddr_v6: 44 },
        synack_ends: EndsLayout { sport: 24, dport: 26, saddr_v6: 38, daddr_v6: 54 },
    };
    assert_eq!(parse_signals(|event| signal_format(event).to_owned()), layout);
}

/// Before 6.10 there is no reason, before 5.14 no report of errors. Fields of another form are not used.
#[test]
fn signals_that_lack_something_are_left_out() {
    let without = |name: &'static str, line: Option<&'static str>| {
        parse_signals(move |event| with(signal_format(event), name, line))
    };
    assert_eq!(without("reason", None).reset_reason, 0);
    assert_eq!(without("skaddr", None).retransmit, 0);
    let short = "field:const void * skaddr;\toffset:8;\tsize:4;\tsigned:0;";
    assert_eq!(without("skaddr", Some(short)).receive_reset, 0);
    let hidden = "field:const void * skaddr;\toffset:0;\tsize:8;\tsigned:0;";
    assert_eq!(without("skaddr", Some(hidden)).send_reset, 0);
    let far = "field:__u16 sport;\toffset:4294967295;\tsize:2;\tsigned:0;";
    assert_eq!(without("sport", Some(far)).error_ends, EndsLayout::NONE);
    assert_eq!(parse_signals(|_| String::new()), SignalLayout::NONE);
    assert_eq!(parse_signals(|_| "field:".repeat(9)), SignalLayout::NONE);
}
