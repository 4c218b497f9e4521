//! The fuzz targets without libFuzzer: every input that is checked in, and changes of it, the same ones each time.
//! Inputs that libFuzzer finds (`cargo xtask fuzz`) go into `fuzz/regressions/`.

#![allow(unreachable_pub, reason = "for libFuzzer, these are a crate of their own")]

#[path = "../../fuzz/src/lib.rs"]
mod targets;

use std::{
    fs,
    panic::{self, AssertUnwindSafe},
    path::Path,
    time::{Duration, Instant},
};

/// libFuzzer's limit, with time to spare for an unoptimized build on a busy host.
const LONGEST: Duration = Duration::from_secs(20);

/// Inputs of a target, each with its file.
fn inputs(target: &str) -> Vec<(String, Vec<u8>)> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    let folders = ["corpus", "regressions"].map(|kind| fuzz.join(kind).join(target));
    let files = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten();
    let mut all: Vec<_> = files
        .map(|file| file.expect("a file").path())
        .map(|path| (path.display().to_string(), fs::read(&path).expect("a readable file")))
        .collect();
    all.sort();
    assert!(all.len() > 3, "{target} has a corpus");
    all
}

/// Calls a target. An input that makes it fail is kept.
fn call(target: &str, run: fn(&[u8]), input: &[u8], what: &str) {
    let begun = Instant::now();
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| run(input)));
    let took = begun.elapsed();
    if outcome.is_err() || took > LONGEST {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{target}"));
        fs::write(&kept, input).expect("a file");
        panic!("{target} does not stand {what} ({took:?}); it is kept as {}", kept.display());
    }
}

/// xorshift64
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).expect("64 bits") % bound.max(1)
    }
}

/// Makes one change to `input`; parts to insert come from `other`.
fn change(input: &mut Vec<u8>, other: &[u8], chance: &mut Chance) {
    let (at, part) = (chance.below(input.len()), chance.below(other.len()));
    let len = 1 + chance.below(16);
    match chance.below(6) {
        0 => input.truncate(at),
        1 => drop(input.drain(at..(at + len).min(input.len()))),
        2 => {
            let part = other.iter().skip(part).take(len).copied();
            drop(input.splice(at..at, part));
        }
        kind => {
            let Some(byte) = input.get_mut(at) else { return };
            *byte = match kind {
                3 => *byte ^ 1 << chance.below(8),
                4 => [0, 1, 0x7f, 0x80, 0xff, b'9', b'-'][chance.below(7)],
                _ => byte.wrapping_add(1),
            };
        }
    }
}

fn replay(target: &str, run: fn(&[u8]), changes: usize) {
    let inputs = inputs(target);
    for (path, input) in &inputs {
        call(target, run, input, path);
    }
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    for _ in 0..changes {
        let (path, input) = &inputs[chance.below(inputs.len())];
        let (_, other) = &inputs[chance.below(inputs.len())];
        let mut input = input.clone();
        for _ in 0..=chance.below(4) {
            change(&mut input, other, &mut chance);
        }
        call(target, run, &input, &format!("a change of {path}"));
    }
}

#[test]
fn records() {
    replay("records", targets::records, 20_000);
}

#[test]
fn captures() {
    replay("captures", targets::captures, 200);
}

#[test]
fn layouts() {
    replay("layouts", targets::layouts, 5_000);
}

#[test]
fn settings() {
    replay("settings", targets::settings, 500);
}
