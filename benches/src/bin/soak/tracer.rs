//! The two processes under test: a tracer whose output is read at once, and a recorder.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc::Receiver},
    thread::{self, JoinHandle, sleep},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use tcptrace_tests::{
    process::{Running, lines},
    tracer::Report as Ended,
};

use crate::{place::netns, tally::Tally};

/// The time limit for steps that usually take no time.
const LIMIT: Duration = Duration::from_mins(1);
/// The time by which a process may outlast the requested length. Then it ends by itself, even if this program is gone.
const MARGIN: Duration = Duration::from_mins(10);

/// The size of the recorder's files, and how many of them it keeps.
pub(crate) const FILE_KIB: u64 = 4 << 10;
pub(crate) const KEPT: u64 = 3;

/// Starts a command of the tracer's, and waits until it has begun. The command ends at the latest some time after
/// `length`.
fn start(program: &Path, arguments: &[&str], length: Duration) -> Result<(Running, Receiver<String>)> {
    let mut command = Command::new(program);
    command.args(arguments).args(["--netns", &netns()]);
    command.args(["--duration", &format!("{}s", (length + MARGIN).as_secs())]);
    let mut process =
        Running::spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()));
    let stderr = lines(process.child().stderr.take().context("no pipe")?);
    while !stderr.recv_timeout(LIMIT).context("it does not begin")?.contains("Ctrl-C to end") {}
    Ok((process, stderr))
}

/// Ends the process, as Ctrl-C does; returns its exit code and its messages.
fn stop(mut process: Running, stderr: Receiver<String>) -> Ended {
    process.signal(Signal::SIGINT);
    let code = process.wait(LIMIT).code();
    Ended { stdout: String::new(), stderr: stderr.into_iter().collect::<Vec<_>>().join("\n"), code }
}

/// `tcptrace -o json --half-open`.
pub(crate) struct Tracer {
    process: Running,
    stderr: Receiver<String>,
    tally: Arc<Mutex<Tally>>,
    reader: JoinHandle<()>,
}

impl Tracer {
    /// # Errors
    /// When the tracer does not begin.
    pub(crate) fn start(program: &Path, length: Duration) -> Result<Self> {
        let (mut process, stderr) = start(program, &["-o", "json", "--half-open"], length)?;
        let output = BufReader::new(process.child().stdout.take().context("no pipe")?);
        let tally = Arc::<Mutex<Tally>>::default();
        let theirs = Arc::clone(&tally);
        let reader = thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                locked(&theirs).add(&line);
            }
        });
        Ok(Self { process, stderr, tally, reader })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The sums over its output so far.
    pub(crate) fn tally(&self) -> Tally {
        locked(&self.tally).clone()
    }

    /// Waits until the output is complete: no transition comes for a second.
    pub(crate) fn settle(&self) {
        let deadline = Instant::now() + LIMIT;
        let told = || locked(&self.tally).transitions;
        let (mut before, mut now) = (u64::MAX, told());
        while before != now && Instant::now() < deadline {
            sleep(Duration::from_secs(1));
            (before, now) = (now, told());
        }
    }

    /// Ends the tracer.
    ///
    /// # Errors
    /// When its output could not be read to the end.
    pub(crate) fn stop(self) -> Result<(Tally, Ended)> {
        let ended = stop(self.process, self.stderr);
        self.reader.join().ok().context("the reader of the output has failed")?;
        let tally = locked(&self.tally).clone();
        Ok((tally, ended))
    }
}

fn locked(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `tcptrace record` into a sequence of files.
pub(crate) struct Recorder {
    process: Running,
    stderr: Receiver<String>,
    program: PathBuf,
    folder: PathBuf,
}

/// The files and the account of a recording.
pub(crate) struct Recorded {
    pub(crate) ended: Ended,
    /// Bytes on disk.
    pub(crate) bytes: u64,
    /// The number of files, and the number of files that replay without a gap.
    pub(crate) files: u64,
    pub(crate) whole: u64,
    /// Transitions in the files.
    pub(crate) transitions: u64,
}

impl Recorder {
    /// # Errors
    /// When the recorder does not begin.
    pub(crate) fn start(program: &Path, folder: &Path, length: Duration) -> Result<Self> {
        let file = folder.join("capture");
        let (size, kept) = (format!("{FILE_KIB}K"), KEPT.to_string());
        let file = file.to_str().context("a folder whose name is no text")?;
        let arguments = ["record", "-w", file, "--max-size", &size, "--keep", &kept];
        let (process, stderr) = start(program, &arguments, length)?;
        Ok(Self { process, stderr, program: program.to_owned(), folder: folder.to_owned() })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Ends the recorder, and replays its files.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub(crate) fn stop(self) -> Result<Recorded> {
        let ended = stop(self.process, self.stderr);
        let mut recorded = Recorded { ended, bytes: 0, files: 0, whole: 0, transitions: 0 };
        for file in fs::read_dir(&self.folder)? {
            let file = file?;
            recorded.files += 1;
            recorded.bytes += file.metadata()?.len();
            let mut replay = Command::new(&self.program)
                .args(["trace", "-o", "csv", "--no-inferred", "--from"])
                .arg(file.path())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()?;
            let output = BufReader::new(replay.stdout.take().context("no pipe")?);
            for line in output.lines() {
                recorded.transitions += u64::from(line?.starts_with("transition,"));
            }
            recorded.whole += u64::from(replay.wait()?.success());
        }
        Ok(recorded)
    }
}
