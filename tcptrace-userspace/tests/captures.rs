//! Captures that are damaged, of another version, or none: told clearly, and read as far as they go.

use std::{fs, path::Path, process::Command};

use proptest::prelude::*;

fn scenario() -> Vec<u8> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios/a_server_that_resets.capture");
    fs::read(file).expect("a scenario")
}

struct Replayed {
    code: Option<i32>,
    lines: Vec<String>,
    said: String,
}

fn replay(command: &str, bytes: &[u8]) -> Replayed {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("capture");
    fs::write(&file, bytes).expect("a file");
    replay_file(command, &file)
}

fn replay_file(command: &str, file: &Path) -> Replayed {
    let mut tcptrace = Command::new(env!("CARGO_BIN_EXE_tcptrace"));
    let output = tcptrace.args([command, "-o", "json", "--from"]).arg(file).output().expect("it runs");
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
    let newer = [b"tcptrace", &[5, 0][..], &scenario()[10..]].concat();
    for (bytes, why) in [
        (Vec::new(), "is not a capture of tcptrace"),
        (b"tcptrac".to_vec(), "is not a capture of tcptrace"),
        (b"\xd4\xc3\xb2\xa1 a packet capture".to_vec(), "is not a capture of tcptrace"),
        (newer, "version 5 of the form of captures; this tcptrace reads version 4"),
        (scenario()[..20].to_vec(), "has no readable beginning"),
        (header_damaged, "has no readable beginning"),
    ] {
        for command in ["trace", "life", "sockets", "diagnose"] {
            let replayed = replay(command, &bytes);
            assert_eq!(replayed.code, Some(1), "{command}: {}", replayed.said);
            assert!(replayed.lines.is_empty() && replayed.said.contains(why), "{command}: {}", replayed.said);
        }
    }
    let missing = replay_file("trace", Path::new("/nonexistent/capture"));
    assert_eq!(missing.code, Some(1));
    assert!(missing.said.contains("/nonexistent/capture: No such file"), "{}", missing.said);
}

#[test]
fn a_whole_one_is_no_damaged_one() {
    let whole = replay("trace", &scenario());
    assert_eq!(whole.code, Some(0), "{}", whole.said);
    assert!(!whole.said.contains("not all there"), "{}", whole.said);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Cut anywhere behind its beginning: everything up to there, and said so.
    #[test]
    fn a_cut_is_told(at in any::<prop::sample::Index>()) {
        let bytes = scenario();
        let whole = replay("trace", &bytes);
        let cut = replay("trace", &bytes[..2_000 + at.index(bytes.len() - 2_000)]);
        prop_assert_eq!(cut.code, Some(4), "{}", cut.said);
        prop_assert!(cut.said.contains("the capture is not all there"), "{}", cut.said);
        prop_assert!(transitions(&whole).starts_with(&transitions(&cut)));
    }

    /// A bit that is not what it was: everything before it, and said so; no verdict that all is well.
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
