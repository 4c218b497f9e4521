//! `tcptrace sockets` beside `ss`, on a host with very many sockets.

use std::{
    fmt::Write as _,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result};

use crate::{held, statistics::median};

/// Connections that are held open. Each has two sockets.
const CONNECTIONS: u32 = 50_000;

/// The commands, in the order in which they take turns.
const OURS: [&[&str]; 4] = [
    &["sockets"],
    &["sockets", "-o", "json"],
    &["sockets", "--by", "process"],
    &["sockets", "--state", "LISTEN"],
];
const PEERS: [&[&str]; 2] = [&["-tanp"], &["-tan"]];

/// Measures in `rounds` rounds, in which all commands take turns, and returns the table.
///
/// # Errors
/// When the connections cannot be made, or a command cannot be run.
pub(crate) fn measure(tracer: &Path, rounds: u32) -> Result<String> {
    let held = held::start(CONNECTIONS)?;
    let commands: Vec<(&Path, &[&str])> = OURS
        .iter()
        .map(|arguments| (tracer, *arguments))
        .chain(PEERS.iter().map(|arguments| (Path::new("ss"), *arguments)))
        .collect();
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); commands.len()];
    for round in 0..=rounds {
        for ((program, arguments), times) in commands.iter().zip(&mut times) {
            let time = run(program, arguments)?;
            // The first round, in which caches fill, does not count.
            if round > 0 {
                times.push(time);
            }
        }
    }
    let medians: Vec<f64> = times.iter().map(|times| median(times).unwrap_or(f64::NAN)).collect();
    let peer = medians[OURS.len()];
    let mut table = format!(
        "{} sockets, held by {} processes; medians of {rounds} rounds, in which the commands take turns, with their \
         output going to /dev/null.\n\n| | ms | of `ss -tanp` |\n|---|---:|---:|\n",
        2 * CONNECTIONS,
        held.processes(),
    );
    for ((program, arguments), ms) in commands.iter().zip(&medians) {
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        let _ = writeln!(table, "| `{name} {}` | {ms:.0} | {:.2} |", arguments.join(" "), ms / peer);
    }
    Ok(table)
}

/// Milliseconds from start to end.
fn run(program: &Path, arguments: &[&str]) -> Result<f64> {
    let start = Instant::now();
    let status = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .with_context(|| format!("starting {}", program.display()))?;
    let elapsed = start.elapsed().as_secs_f64() * 1e3;
    // 4: a part of the host could not be read, such as a process that this one may not inspect.
    anyhow::ensure!(matches!(status.code(), Some(0 | 4)), "{} {arguments:?}: {status}", program.display());
    Ok(elapsed)
}
