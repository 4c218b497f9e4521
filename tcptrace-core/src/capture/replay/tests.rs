//! The scenarios of `tests/scenarios`, cut and mixed in other ways than the kernel happened to.

use std::{
    fs,
    path::{Path, PathBuf},
};

use proptest::{prelude::*, strategy::ValueTree as _};

use super::*;
use crate::{
    capture::{beginning, encode, put},
    diagnosis::{detect, report::ReportOptions},
    model::{finding::Severity, hooks::HalfOpenHooks, view::View},
    output::{Format, Style, TimeColumn, findings},
    pipeline::decode::records,
};

/// An input of a capture: an entry of the ring, or another one as its message, without its length.
#[derive(Clone)]
enum Message {
    Entry(Vec<u8>),
    Other(Vec<u8>),
}

impl Message {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Entry(entry) => message(&Input::Entry(entry)),
            Self::Other(bytes) => bytes.clone(),
        }
    }
}

fn message(input: &Input<'_>) -> Vec<u8> {
    let mut message = Vec::new();
    put(input, &mut message);
    message.split_off(4)
}

/// The bytes of a capture with this header and these inputs.
fn write_all(header: &Header, inputs: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut bytes = beginning(header).expect("small");
    let raw: Vec<u8> = inputs
        .flat_map(|input| [u32::try_from(input.len()).expect("small").to_le_bytes().to_vec(), input].concat())
        .collect();
    bytes.extend(encode(&raw).expect("small"));
    bytes
}

fn scenarios() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tcptrace-userspace/tests/scenarios");
    let files = fs::read_dir(directory).expect("scenarios").map(|file| file.expect("a file").path());
    let mut all: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "capture")).collect();
    all.sort();
    assert!(all.len() > 20);
    all
}

fn load(path: &Path) -> (Header, Vec<Message>) {
    let mut reader = Reader::open(path).expect("a capture");
    let header = reader.header().clone();
    let mut messages = Vec::new();
    while let Some(input) = reader.next_input().expect("an input") {
        messages.push(match input {
            Input::Entry(entry) => Message::Entry(entry.to_vec()),
            other => Message::Other(message(&other)),
        });
    }
    (header, messages)
}

/// All transitions, half-open connections and findings, as JSON.
fn shown(header: &Header, messages: &[Message]) -> String {
    let capture = write_all(header, messages.iter().map(Message::bytes));
    let options = Options { detect: Some(detect::Options::default()), ..Options::default() };
    let reader = Reader::new(&capture[..], Path::new("memory")).expect("a capture");
    let mut out = Vec::new();
    let replayed = replay(reader, options, None, json, &mut out).expect("memory");
    assert_eq!(replayed.damage, None);
    String::from_utf8(out).expect("JSON")
}

/// The records of a release in other entries. The records of each CPU keep their order; the order of the CPUs and the ends
/// of their batches change.
fn mixed(messages: &[Message], mut choose: impl FnMut(usize) -> usize) -> Vec<Message> {
    let mut out = Vec::new();
    let mut entries: Vec<Vec<Vec<u8>>> = Vec::new();
    for message in messages {
        match message {
            Message::Entry(entry) => entries.push(records(entry).map(<[u8]>::to_vec).collect()),
            Message::Other(_) => {
                while !entries.is_empty() {
                    let entry = entries.swap_remove(choose(entries.len()));
                    let cut = choose(entry.len() + 1);
                    let parts = [&entry[..cut], &entry[cut..]];
                    out.extend(
                        parts
                            .iter()
                            .filter(|part| !part.is_empty())
                            .map(|part| Message::Entry(part.concat())),
                    );
                }
                out.push(message.clone());
            }
        }
    }
    out
}

/// Entries may come in any order, and in batches of any size.
#[test]
fn order_and_chunks_change_nothing() {
    for path in scenarios() {
        let (header, messages) = load(&path);
        let before = shown(&header, &messages);
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        for _ in 0..3 {
            let seed = any::<u64>().new_tree(&mut runner).expect("a number").current();
            let mut state = seed | 1;
            let choose = |count: usize| {
                // xorshift64
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                usize::try_from(state).unwrap_or(usize::MAX) % count.max(1)
            };
            let after = shown(&header, &mixed(&messages, choose));
            assert!(before == after, "{} with seed {seed}", path.display());
        }
    }
}

/// A capture that ends anywhere is replayed up to there.
#[test]
fn every_beginning_replays() {
    let (header, messages) = load(&scenarios()[0]);
    let whole = shown(&header, &messages);
    let transitions = |text: &str| text.lines().filter(|line| line.contains("\"transition\"")).count();
    let mut before = 0;
    for share in 1..8 {
        let part = &messages[..messages.len() * share / 8];
        let bytes = write_all(&header, part.iter().map(Message::bytes));
        let reader = Reader::new(&bytes[..], Path::new("memory")).expect("a capture");
        let mut out = Vec::new();
        let replayed = replay(reader, unfollowed(), None, json, &mut out).expect("memory");
        assert_eq!(replayed.damage, Some(Damage::NoEnd));
        assert_balanced(&replayed.summary);
        let now = transitions(&String::from_utf8(out).expect("JSON"));
        assert!(now >= before && now <= transitions(&whole));
        before = now;
    }
    assert!(before > 0);
}

/// Each transition that was seen is in one of the sums, and so is each record of a half-open connection.
#[track_caller]
fn assert_balanced(summary: &Summary) {
    let Summary { delivered, filtered, counters, lost, .. } = summary;
    let all = delivered + filtered + counters.sampled_out + lost.total()
        - lost.missed_runs
        - lost.others
        - lost.skipped_inputs;
    assert_eq!(summary.seen(), all, "{summary:?}");
    if let Some(half_open) = &summary.half_open {
        let crate::model::half_open::Summary { counters, delivered, filtered, lost, .. } = half_open;
        let all = delivered + filtered + counters.sampled_out + lost.total() - lost.missed_runs;
        assert_eq!(counters.syns + counters.retransmits, all, "{half_open:?}");
    }
}

/// The account is that of the part that is shown, wherever that ends: by itself, by a cut, or by a limit.
#[test]
fn every_part_is_accounted_for() {
    let replayed = |bytes: &[u8], count, duration| {
        let reader = Reader::new(bytes, Path::new("memory")).expect("a capture");
        let options = Options { count, ..Options::default() };
        replay(reader, options, duration, json, &mut io::sink()).expect("memory").summary
    };
    for path in scenarios() {
        let (header, messages) = load(&path);
        for end in (0..messages.len()).step_by(messages.len().div_ceil(12)) {
            let bytes = write_all(&header, messages[..end].iter().map(Message::bytes));
            assert_balanced(&replayed(&bytes, None, None));
        }
        let bytes = write_all(&header, messages.iter().map(Message::bytes));
        for count in [1, 2, 5, 8, 11] {
            let summary = replayed(&bytes, Some(count), None);
            assert_balanced(&summary);
            assert_eq!(summary.lost.total(), 0, "what nobody wants is not lost");
        }
        for tenths in [0, 1, 5, 20] {
            let duration = Some(Duration::from_millis(100 * tenths));
            assert_balanced(&replayed(&bytes, None, duration));
        }
    }
}

/// Dumps, polls and scans show the host after all records up to them: an input that comes too early is a fault of the caller
/// of the core.
#[test]
#[cfg(debug_assertions)]
fn an_input_may_not_come_before_what_was_released() {
    let (header, messages) = load(&scenarios()[0]);
    let mut core = Core::of(&unfollowed(), &header, ResolverCache::replayed(), None, None);
    for message in &messages {
        if let Message::Entry(entry) = message {
            core.apply(Input::Entry(entry));
        }
    }
    core.apply(Input::DumpBegins);
    core.apply(Input::Released(u64::MAX));
    let early = std::panic::AssertUnwindSafe(|| core.apply(Input::DumpBegins));
    assert!(std::panic::catch_unwind(early).is_err(), "records wait");
    drain(&mut core, &mut io::sink()).expect("nothing is written");
    core.apply(Input::DumpBegins);
}

/// A person who forges a capture can forge its checksums, too: whatever is in it, nothing panics.
#[test]
fn forged_ones_do_no_harm() {
    let scenarios: Vec<_> = scenarios().iter().map(|path| load(path)).collect();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let forgery = (
        any::<prop::sample::Index>(),
        prop::collection::vec(any::<(prop::sample::Index, prop::sample::Index, u8)>(), 1..9),
    );
    for _ in 0..400 {
        let (which, changes) = forgery.new_tree(&mut runner).expect("a forgery").current();
        let (header, messages) = which.get(&scenarios);
        let mut bytes: Vec<Vec<u8>> = messages.iter().map(Message::bytes).collect();
        for (message, place, byte) in changes {
            let message = &mut bytes[message.index(messages.len())];
            let place = place.index(message.len());
            message[place] = byte;
        }
        let capture = write_all(header, bytes.into_iter());
        let reader = Reader::new(&capture[..], Path::new("memory")).expect("a capture");
        let options = Options { detect: Some(detect::Options::default()), ..Options::default() };
        let replayed = replay(reader, options, None, json, &mut io::sink()).expect("memory");
        assert!(replayed.summary.matrix().count() <= 256);
    }
}

/// A capture that never releases its records does not fill the memory.
#[test]
fn not_more_waits_than_can() {
    let (header, _) = load(&scenarios()[0]);
    let replayed = |length, count| {
        let entry = message(&Input::Entry(&vec![0; length]));
        let bytes = write_all(&header, std::iter::repeat_n(entry, count));
        let reader = Reader::new(&bytes[..], Path::new("memory")).expect("a capture");
        replay(reader, unfollowed(), None, json, &mut io::sink()).expect("memory")
    };
    assert_eq!(replayed(64 << 10, 15).damage, Some(Damage::NoEnd));
    // The data that orders small records takes more memory than the records.
    for (length, count) in [(64 << 10, 16), (1, 50_000)] {
        let too_many = replayed(length, count);
        assert!(matches!(too_many.damage, Some(Damage::Content { .. })), "{:?}", too_many.damage);
        let read = too_many.summary.lost.undecodable;
        assert!(read > 0 && read <= count as u64, "{read} of {count} were read");
    }
}

/// Nothing in a capture reaches a terminal as a control character.
#[test]
fn texts_are_not_believed() {
    let (mut header, messages) = load(&scenarios()[0]);
    let evil = "\u{1b}[2J\u{202e}".to_owned();
    (header.host, header.kernel) = (evil.clone(), evil.clone());
    header.filters = vec!["--local-port 80".to_owned(), format!("--netns {evil}")];
    header.half_open = Some(HalfOpenHooks { syns: Err(evil.clone()), retransmits: Err(evil.clone()) });
    let ended = Ended { snapshot_gaps: Some(evil.clone()), unpolled: Some(evil.clone()), ..Ended::default() };
    let scan = crate::model::scan::HostScan {
        start_ns: 0,
        end_ns: 0,
        sockets: Err(evil),
        namespaces: Vec::new(),
        processes: Vec::new(),
    };
    let more = [Input::Scanned(Box::new(scan)), Input::Ended(Box::new(ended))];
    let more = more.map(|input| Message::Other(message(&input)));
    let all: Vec<Message> = messages.into_iter().chain(more).collect();
    let capture = write_all(&header, all.iter().map(Message::bytes));
    let reader = Reader::new(&capture[..], Path::new("memory")).expect("a capture");
    let options = Options { detect: Some(detect::Options::default()), ..Options::default() };
    let replayed = replay(reader, options, None, |_| None, &mut io::sink()).expect("memory");
    let asked = ReportOptions {
        filters: vec!["--local-port 80".to_owned(), "--only syn-flood".to_owned()],
        fail_on: Severity::Info,
    };
    let detection = replayed.detection.expect("it was asked for");
    let report = detection.report(&replayed.summary, &replayed.header, None, &asked);
    assert_eq!([&report.filters[0], &report.filters[2]], ["--local-port 80", "--only syn-flood"]);
    assert!(report.filters.len() == 3 && report.filters[1].starts_with("--netns "), "{:?}", report.filters);
    for format in [findings::Format::Text, findings::Format::Json, findings::Format::Markdown] {
        let text = findings::render(&report, format, false);
        assert!(text.contains("x1b[2J") || text.contains("x1b\\[2J"), "{text}");
        assert!(!text.chars().any(|c| c != '\n' && (c.is_control() || c == '\u{202e}')), "{text:?}");
    }
}

#[expect(clippy::unnecessary_wraps, reason = "as replay takes it")]
fn json(header: &Header) -> Option<Box<dyn Sink>> {
    Some(crate::output::sink(&Style {
        format: Format::Json,
        view: View::Transitions,
        time: TimeColumn::Millis,
        colour: false,
        clock: header.clock,
        zone: jiff::tz::TimeZone::UTC,
        start_ns: header.start_ns,
    }))
}

/// Options without half-open connections.
fn unfollowed() -> Options {
    Options { half_open: false, ..Options::default() }
}
