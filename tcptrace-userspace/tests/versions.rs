//! Captures of every version of the format that tcptrace has ever written, as the version of that time recorded them.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path, process::Command};

use tcptrace_core::capture::{MAGIC, VERSION};

/// One capture of each version. Their outputs are in `snapshots/`. All of them are scenarios, too: `scenarios.rs`
/// compares the findings in each.
const CAPTURES: [(u16, &str); 5] = [
    (1, "a_program_that_does_not_accept"),
    (2, "open_connections_have_all_ports"),
    (3, "clients_behind_a_link_that_goes_down"),
    (4, "a_burst_of_clients"),
    (5, "a_port_that_nobody_serves"),
];

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios"))
}

fn version(file: &Path) -> u16 {
    let bytes = fs::read(file).expect("a capture");
    assert!(bytes.starts_with(&MAGIC), "{}", file.display());
    u16::from_le_bytes([bytes[MAGIC.len()], bytes[MAGIC.len() + 1]])
}

#[test]
fn every_version_has_captures() {
    let mut counts: BTreeMap<u16, u32> = BTreeMap::new();
    let files = fs::read_dir(folder()).expect("scenarios").map(|file| file.expect("a file").path());
    for file in files.filter(|file| file.extension().is_some_and(|extension| extension == "capture")) {
        *counts.entry(version(&file)).or_default() += 1;
    }
    let all: Vec<u16> = (1..=VERSION).collect();
    assert_eq!(counts.into_keys().collect::<Vec<_>>(), all, "record a scenario with each new version");
    assert_eq!(CAPTURES.map(|(version, _)| version).to_vec(), all);
    for (expected, name) in CAPTURES {
        assert_eq!(version(&folder().join(name).with_extension("capture")), expected, "{name}");
    }
}

/// The account, the findings, the sockets of the last scan by several keys, and the size of a trace's output:
/// everything that a capture holds affects one of them.
#[test]
fn each_version_replays_to_the_same_output() {
    for (version, name) in CAPTURES {
        let file = folder().join(name).with_extension("capture");
        let run = |arguments: &str| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_tcptrace"));
            let output =
                command.args(arguments.split(' ')).arg("--from").arg(&file).output().expect("it runs");
            let said = String::from_utf8(output.stderr).expect("UTF-8");
            (
                String::from_utf8(output.stdout).expect("UTF-8"),
                format!("{said}exit code {:?}\n", output.status.code()),
            )
        };
        let (trace, account) = run("trace -o json --half-open");
        let mut kinds: BTreeMap<&str, u32> = BTreeMap::new();
        for line in trace.lines() {
            let kind = line.split(r#""type":""#).nth(1).and_then(|rest| rest.split('"').next());
            *kinds.entry(kind.expect("a type")).or_default() += 1;
        }
        let (first, last) = (trace.lines().next().expect("a line"), trace.lines().last().expect("a line"));
        let mut all = format!("{kinds:?}\n{first}\n{last}\n{account}");
        for command in [
            "sockets --by process -o csv",
            "sockets --by listener -o csv",
            "life -o csv",
            "diagnose -o markdown",
        ] {
            let (shown, said) = run(command);
            // Keeps the first lines of a long output.
            let shown: Vec<&str> = shown.lines().take(40).collect();
            let _ = write!(all, "\n{command}\n{}\n{said}", shown.join("\n"));
        }
        insta::assert_snapshot!(format!("version_{version}"), all);
    }
}
