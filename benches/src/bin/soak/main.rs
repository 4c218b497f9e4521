//! An hour of mixed load, as on an operator's host, under a tracer and a recorder. Their output is compared with the
//! kernel's own counters, and their memory and descriptors must not grow.
//!
//! Everything happens in a new network namespace, on its loopback. The load pauses at intervals. In each pause all
//! output so far must agree with the counters.

mod counters;
mod load;
mod place;
mod report;
mod samples;
mod tally;
mod tracer;

use std::{
    path::PathBuf,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use clap::Parser;

use counters::Counters;
use load::Mix;
use report::Report;
use samples::Samples;
use tcptrace_tests::init::DuringInit;
use tracer::{Recorder, Tracer};

/// Trace a mixed load for long, and check that nothing is lost and nothing grows. Needs root.
#[derive(Parser)]
#[command(name = "cargo xtask soak", bin_name = "cargo xtask soak")]
struct Args {
    /// How long the load lasts
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=1_440))]
    minutes: u32,
    /// Short connections a second; the other kinds of load have rates of their own, some 30 a second
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=2_000))]
    connections_per_second: u32,
    /// The tracer
    #[arg(long, env = "TCPTRACE_BIN", default_value = "tcptrace", hide = true)]
    tracer: PathBuf,
}

/// The interval between two samples of memory and descriptors.
const SAMPLE_EVERY: Duration = Duration::from_secs(2);
/// The time of load between two pauses.
const STRETCH: Duration = Duration::from_secs(50);

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    ensure!(nix::unistd::geteuid().is_root(), "the soak loads eBPF programs: run it as root");
    place::isolate()?;
    let report = run(&args)?;
    print!("{report}");
    Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run(args: &Args) -> Result<Report> {
    let length = Duration::from_mins(args.minutes.into());
    let folder = tempfile::tempdir()?;
    let tracer = Tracer::start(&args.tracer, length)?;
    let recorder = Recorder::start(&args.tracer, folder.path(), length)?;
    let mut samples = [Samples::of("tcptrace", tracer.pid()), Samples::of("tcptrace record", recorder.pid())];
    let hidden = DuringInit::start("soak", &["sock/inet_sock_set_state", "tcp/tcp_retransmit_synack"]);
    let before = Counters::read()?;
    let start = Instant::now();
    let mut report = Report::default();
    let mix = Mix::start(args.connections_per_second);
    while start.elapsed() < length {
        let stretch = STRETCH.min(length.saturating_sub(start.elapsed()));
        let end = Instant::now() + stretch;
        while Instant::now() < end {
            thread::sleep(SAMPLE_EVERY.min(end.saturating_duration_since(Instant::now())));
            for samples in &mut samples {
                samples.take(start.elapsed())?;
            }
        }
        let pause = mix.pause();
        tracer.settle();
        let differences = report.compare(&Counters::read()?.since(&before), &tracer.tally(), hidden.count());
        drop(pause);
        eprintln!(
            "{:>5} s of {}: {} transitions, {differences}",
            start.elapsed().as_secs(),
            length.as_secs(),
            tracer.tally().transitions
        );
        ensure!(mix.is_whole(), "a part of the load has ended: see above");
    }
    let syns = mix.stop()?;
    // Waits until the last half-open connection has ended, and a poll has found that out.
    thread::sleep(place::HALF_OPEN_LIFE + Duration::from_secs(3));
    tracer.settle();
    let counters = Counters::read()?.since(&before);
    let (tally, ended) = tracer.stop()?;
    report.compare(&counters, &tally, hidden.count());
    report.half_open(&counters, &tally, syns);
    report.stream(&tally, &ended);
    report.recorder(&recorder.stop()?, &tally);
    for samples in &samples {
        report.samples(samples);
    }
    Ok(report)
}
