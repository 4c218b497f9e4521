//! Captures: whoever made one may be no friend of who replays it.

use bytes::Buf as _;
use serde::{Deserialize as _, de::IgnoredAny};
use tcptrace::{
    bpf,
    commands::{
        diagnose, sockets,
        stream::{self, Priority},
    },
    fuzzing,
    session::{self, HalfOpenBy},
};
use tcptrace_core::{
    capture::{MAGIC, VERSION},
    diagnosis::detect,
    model::{finding::Severity, ports::PortSet, scan::By, socket_filter::SocketFilter, view::View},
    output::{Format, findings},
};

/// The first byte of `data` says how to replay, and what follows it is: the bytes of a file, or what the frames of one
/// hold, whose lengths and checksums are made here. Without that no change would ever get behind a checksum.
///
/// # Panics
/// What is made of it does not hold together.
pub fn captures(data: &[u8]) {
    let Some((how, rest)) = data.split_first() else { return };
    let capture = if how & 0x80 == 0 { framed(rest) } else { rest.to_vec() };
    let format = [Format::Text, Format::Wide, Format::Json, Format::Csv][usize::from(how & 3)];
    let trace = settings(*how, format);
    let mut out = Vec::new();
    match fuzzing::trace(&capture, &trace, &mut out) {
        Ok(replayed) => {
            let (before, mut again) = (replayed.summary, Vec::new());
            let after = fuzzing::trace(&capture, &trace, &mut again).map(|replayed| replayed.summary);
            assert_eq!(after.ok(), Some(before), "the same capture has the same account");
            assert!(out == again, "and the same output");
        }
        Err(error) => assert!(is_printable(error.to_string().as_bytes(), Format::Text), "{error:?}"),
    }
    assert!(is_printable(&out, format), "{}", String::from_utf8_lossy(&out));
    diagnosed(&capture, trace.trace, how & 0x10 != 0);
    listed(&capture, *how, format);
}

fn settings(how: u8, format: Format) -> stream::Settings {
    let mut bpf = bpf::Options { max_connections: 64, ..bpf::Options::default() };
    if how & 0x40 != 0 {
        let mut ports = PortSet::new();
        ports.insert(1..=9_999);
        (bpf.lports, bpf.filter.family) = (Some(ports), 4);
    }
    let trace = session::Settings {
        bpf,
        infer: true,
        detect: Some(detect::Options::default()),
        half_open: Some(HalfOpenBy::Events).filter(|_| how & 8 == 0),
        view: if how & 4 == 0 { View::Transitions } else { View::Connections },
        count: (how & 0x20 != 0).then_some(3),
        ..session::Settings::default()
    };
    stream::Settings { trace, format, ..stream::Settings::default() }
}

fn diagnosed(capture: &[u8], trace: session::Settings, patient: bool) {
    let mut detect = detect::Options::default();
    if patient {
        let thresholds = &mut detect.thresholds;
        (thresholds.close_wait_leak.age_s, thresholds.stuck.age_s) = (u64::MAX, u64::MAX);
        thresholds.phantom_established.idle_s = u64::MAX;
    }
    let settings = diagnose::Settings {
        trace: session::Settings { detect: Some(detect), ..trace },
        filters: Vec::new(),
        fail_on: Severity::Warning,
        until_finding: false,
        priority: Priority::Normal,
    };
    let Ok(report) = fuzzing::diagnose(capture, &settings) else { return };
    for format in [findings::Format::Text, findings::Format::Json, findings::Format::Markdown] {
        let text = findings::render(&report, format, false);
        assert!(is_printable(text.as_bytes(), Format::Text), "{text}");
    }
}

fn listed(capture: &[u8], how: u8, format: Format) {
    let by =
        [None, Some(By::State), Some(By::Process), Some(By::Listener), Some(By::Peer), Some(By::Container)];
    let by = by[usize::from(how >> 2) % by.len()];
    let wanted = SocketFilter::default();
    let settings = sockets::Settings { wanted, netns: None, by, format, colour: false, watch: None };
    let mut out = Vec::new();
    // The output is memory; that there is no look is no fault.
    let _ = fuzzing::sockets(capture, &settings, &mut out);
    assert!(is_printable(&out, format), "{}", String::from_utf8_lossy(&out));
}

/// Nothing that a terminal would obey, and JSON is JSON.
fn is_printable(out: &[u8], format: Format) -> bool {
    let Ok(text) = std::str::from_utf8(out) else { return false };
    let is_json = |line: &str| serde_json::from_str::<IgnoredAny>(line).is_ok();
    !text.chars().any(|c| c.is_control() && c != '\n')
        && (format != Format::Json || text.lines().all(is_json))
}

fn frame(raw: &[u8]) -> Vec<u8> {
    fuzzing::frame(raw).expect("no input is so large")
}

/// A capture of these messages, back to back; the first is the header. What is none goes into it as it is.
fn framed(mut messages: &[u8]) -> Vec<u8> {
    let mut capture = MAGIC.to_vec();
    capture.extend(VERSION.to_le_bytes());
    capture.extend(frame(next(&mut messages)));
    let mut inputs = Vec::with_capacity(messages.len());
    while !messages.is_empty() {
        let input = next(&mut messages);
        inputs.extend(u32::try_from(input.len()).unwrap_or(u32::MAX).to_le_bytes());
        inputs.extend(input);
    }
    capture.extend(frame(&inputs));
    capture
}

/// Takes a message from the beginning.
fn next<'a>(messages: &mut &'a [u8]) -> &'a [u8] {
    let mut rest = *messages;
    let is_message = IgnoredAny::deserialize(&mut rmp_serde::Deserializer::new(&mut rest)).is_ok();
    let len = messages.len() - if is_message { rest.len() } else { 0 };
    let message = &messages[..len];
    messages.advance(len);
    message
}
