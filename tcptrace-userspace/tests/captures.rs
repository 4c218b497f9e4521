//! Captures that are damaged or of another version, and files that are no captures: reported clearly, and read as far
//! as possible.

use std::{fs, path::Path, process::Command};

use proptest::prelude::*;
use tcptrace_core::{
    capture::{Reader, beginning, encode, put},
    model::input::Input,
};

fn scenario() -> Vec<u8> {
    scenario_of("a_server_that_resets")
}

fn scenario_of(name: &str) -> Vec<u8> {
    let file = format!("{}/tests/scenarios/{name}.capture", env!("CARGO_MANIFEST_DIR"));
    fs::read(file).expect("a scenario")
}

struct Replayed {
    code: Option<i32>,
    lines: Vec<String>,
    said: String,
}

fn replay(command: &str, bytes: &[u8]) -> Replayed {
    replay_as(command, "json", bytes)
}

fn replay_as(command: &str, format: &str, bytes: &[u8]) -> Replayed {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("capture");
    fs::write(&file, bytes).expect("a file");
    replay_file(command, format, &file)
}

fn replay_file(command: &str, format: &str, file: &Path) -> Replayed {
    let mut tcptrace = Command::new(env!("CARGO_BIN_EXE_tcptrace"));
    let output = tcptrace.args([command, "-o", format, "--from"]).arg(file).output().expect("it runs");
    let lines = String::from_utf8(output.stdout).expect("UTF-8").lines().map(str::to_owned).collect();
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    Replayed { code: output.status.code(), lines, said }
}

/// Lines of transitions; the account differs.
fn transitions(replayed: &Replayed) -> Vec<&String> {
    replayed.lines.iter().filter(|line| line.contains("\"type\":\"transition\"")).collect()
}

#[test]
fn what_is_no_capture_is_refused() {
    let header_damaged = {
        let mut bytes = scenario();
        bytes[40] ^= 1;
        bytes
    };
    let newer = [b"tcptrace", &[6, 0][..], &scenario()[10..]].concat();
    for (bytes, why) in [
        (Vec::new(), "is not a capture of tcptrace"),
        (b"tcptrac".to_vec(), "is not a capture of tcptrace"),
        (b"\xd4\xc3\xb2\xa1 a packet capture".to_vec(), "is not a capture of tcptrace"),
        (newer, "version 6 of the form of captures; this tcptrace reads version 5"),
        (scenario()[..20].to_vec(), "has no readable beginning"),
        (header_damaged, "has no readable beginning"),
    ] {
        for command in ["trace", "life", "sockets", "diagnose"] {
            let replayed = replay(command, &bytes);
            assert_eq!(replayed.code, Some(1), "{command}: {}", replayed.said);
            assert!(replayed.lines.is_empty() && replayed.said.contains(why), "{command}: {}", replayed.said);
        }
    }
    let missing = replay_file("trace", "json", Path::new("/nonexistent/capture"));
    assert_eq!(missing.code, Some(1));
    assert!(missing.said.contains("/nonexistent/capture: No such file"), "{}", missing.said);
}

#[test]
fn a_whole_one_is_no_damaged_one() {
    let whole = replay("trace", &scenario());
    assert_eq!(whole.code, Some(0), "{}", whole.said);
    assert!(!whole.said.contains("not all there"), "{}", whole.said);
}

/// A scenario with these messages in the middle and at the end, as a later version might write it.
fn with_messages(scenario: &[u8], messages: &[&[u8]]) -> Vec<u8> {
    let mut reader = Reader::new(scenario, Path::new("memory")).expect("a capture");
    let mut bytes = beginning(reader.header()).expect("small");
    let (mut raw, mut inputs) = (Vec::new(), 0);
    let add = |raw: &mut Vec<u8>| {
        for message in messages {
            raw.extend(u32::try_from(message.len()).expect("small").to_le_bytes());
            raw.extend(*message);
        }
    };
    while let Some(input) = reader.next_input().expect("an input") {
        if inputs == 50 || matches!(input, Input::Ended(_)) {
            add(&mut raw);
        }
        inputs += 1;
        put(&input, &mut raw);
    }
    assert!(inputs > 100, "{inputs}");
    bytes.extend(encode(&raw).expect("small"));
    bytes
}

/// Inputs of a later version are skipped, and every output reports that.
#[test]
fn what_a_later_version_has_added_is_counted() {
    let plain = replay("trace", &with_messages(&scenario(), &[]));
    assert_eq!(plain.code, Some(0), "{}", plain.said);
    // A kind of input without content, and one with content.
    let messages: [&[u8]; 2] = [&[77], &[0x81, 0xcc, 200, 0x92, 1, 0xa1, b'x']];
    let bytes = with_messages(&scenario(), &messages);
    let account = "4 inputs of the capture were skipped";
    for (command, format, shown) in [
        ("trace", "text", "and 2 inputs of a later version here"),
        ("trace", "wide", "and 2 inputs of a later version here"),
        ("trace", "json", r#""skipped_inputs":4"#),
        ("trace", "csv", "loss,"),
        ("life", "text", "and 2 inputs of a later version here"),
        ("life", "json", r#""skipped_inputs":4"#),
        ("life", "csv", "loss,"),
    ] {
        let replayed = replay_as(command, format, &bytes);
        assert_eq!(replayed.code, Some(4), "{command} {format}: {}", replayed.said);
        assert!(replayed.said.contains(account), "{command} {format}: {}", replayed.said);
        let all = replayed.lines.join("\n");
        assert!(all.contains(shown), "{command} {format}: {all}");
    }
    assert_eq!(transitions(&replay("trace", &bytes)), transitions(&plain), "nothing else is missing");
    for (command, format) in [("sockets", "text"), ("sockets", "json"), ("sockets", "csv")] {
        let replayed = replay_as(command, format, &bytes);
        assert_eq!(replayed.code, Some(4), "{format}: {}", replayed.said);
        assert!(replayed.said.contains(account) && !replayed.lines.is_empty(), "{format}: {}", replayed.said);
    }
    for format in ["text", "json", "markdown"] {
        let report = replay_as("diagnose", format, &bytes);
        let all = report.lines.join("\n");
        assert!(all.contains("4 inputs of the capture, which a newer tcptrace recorded"), "{format}: {all}");
    }
    let healthy = scenario_of("an_idle_namespace_is_healthy");
    for (messages, code) in [(&messages[..0], 0), (&messages[..], 4)] {
        let report = replay("diagnose", &with_messages(&healthy, messages));
        assert_eq!(report.code, Some(code), "{:?}", report.lines);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// A capture may be cut anywhere behind its beginning. Everything up to there is read, and the cut is reported.
    #[test]
    fn a_cut_is_told(at in any::<prop::sample::Index>()) {
        let bytes = scenario();
        let whole = replay("trace", &bytes);
        let cut = replay("trace", &bytes[..2_000 + at.index(bytes.len() - 2_000)]);
        prop_assert_eq!(cut.code, Some(4), "{}", cut.said);
        prop_assert!(cut.said.contains("the capture is not all there"), "{}", cut.said);
        prop_assert!(transitions(&whole).starts_with(&transitions(&cut)));
    }

    /// A bit may be flipped. Everything before it is read, and the damage is reported; the verdict is not healthy.
    #[test]
    fn damage_is_told(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let mut bytes = scenario();
        let whole = replay("trace", &bytes);
        let at = 2_000 + at.index(bytes.len() - 2_000);
        bytes[at] ^= 1 << bit;
        let damaged = replay("trace", &bytes);
        prop_assert_eq!(damaged.code, Some(4), "{}", damaged.said);
        prop_assert!(damaged.said.contains("the capture is not all there"), "{}", damaged.said);
        prop_assert!(transitions(&whole).starts_with(&transitions(&damaged)));
        let report = replay("diagnose", &bytes);
        prop_assert!(matches!(report.code, Some(3 | 4)), "{}", report.said);
    }
}
