//! The binary under test, running.

use std::{
    io::{self, Read},
    process::{ChildStdout, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    thread::sleep,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{
    machine::{Hook, is_slow, tcptrace},
    process::{Running, at_once, collect, lines},
    transition::Transition,
};

/// The beginning of tcptrace's message on standard error once it traces.
const READY: &str = "Tracing TCP ";
const START_LIMIT: Duration = Duration::from_mins(1);
const END_LIMIT: Duration = Duration::from_mins(1);

/// A running `tcptrace trace`.
#[derive(Debug)]
pub struct Tracer {
    process: Running,
    stdout: Option<Receiver<Vec<u8>>>,
    printed: Arc<AtomicU64>,
    stderr: Receiver<String>,
    said: String,
}

/// A pipe that counts the bytes read from it.
struct Counted {
    pipe: ChildStdout,
    count: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.pipe.read(buffer)?;
        self.count.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// The output of a trace, and its exit code.
#[derive(Debug)]
pub struct Report {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// The exit code, `None` after a signal.
    pub code: Option<i32>,
}

impl Tracer {
    /// Starts `tcptrace trace --hook HOOK ARGUMENTS` and waits until it traces.
    pub fn start(hook: Hook, arguments: &[&str]) -> Self {
        let mut this = Self::start_unread(hook, arguments);
        this.read();
        this
    }

    /// As [`Self::start`], with `tcptrace life`.
    pub fn start_life(hook: Hook, arguments: &[&str]) -> Self {
        let mut command = Command::new(tcptrace());
        let mut this = Self::spawn(command.args(["life", "--hook", hook.name()]).args(arguments));
        this.read();
        this
    }

    /// Starts `tcptrace trace`, without inferred transitions, and `tcptrace life` at once.
    pub fn start_with_life(hook: Hook, arguments: &[&str]) -> [Self; 2] {
        at_once([true, false], |is_trace| {
            if is_trace {
                Self::start(hook, &[arguments, &["--no-inferred"]].concat())
            } else {
                Self::start_life(hook, arguments)
            }
        })
    }

    /// As [`Self::start`], but its standard output is not read before [`Self::read`].
    pub fn start_unread(hook: Hook, arguments: &[&str]) -> Self {
        let mut command = Command::new(tcptrace());
        command.args(["trace", "--hook", hook.name()]).args(arguments);
        Self::spawn(&mut command)
    }

    /// Starts a command that becomes `tcptrace trace`. Its standard output is not read before [`Self::read`].
    pub fn spawn(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Running::spawn(command);
        let stderr = lines(process.child().stderr.take().expect("a pipe"));
        let mut said = String::new();
        // An emulated machine takes seconds to load a program, and a scenario starts several tracers at once.
        let limit = if is_slow() { 5 * START_LIMIT } else { START_LIMIT };
        let deadline = Instant::now() + limit;
        while !said.contains(READY) {
            let left = deadline.saturating_duration_since(Instant::now());
            match stderr.recv_timeout(left) {
                Ok(line) => said = said + &line + "\n",
                Err(error) => panic!("{command:?} does not trace ({error}): {said}"),
            }
        }
        Self { process, stdout: None, printed: Arc::default(), stderr, said }
    }

    /// Begins to read standard output.
    pub fn read(&mut self) {
        let pipe = self.process.child().stdout.take().expect("not yet read");
        self.stdout = Some(collect(Counted { pipe, count: Arc::clone(&self.printed) }));
    }

    /// The number of bytes printed so far, if standard output is read.
    pub fn printed(&self) -> u64 {
        self.printed.load(Ordering::Relaxed)
    }

    /// Waits until its output is complete, however busy the host: nothing comes for half a second.
    pub fn catch_up(&self) {
        let deadline = Instant::now() + END_LIMIT;
        let mut before = u64::MAX;
        let mut now = self.printed.load(Ordering::Relaxed);
        while now != before && Instant::now() < deadline {
            sleep(Duration::from_millis(500));
            before = now;
            now = self.printed.load(Ordering::Relaxed);
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Interrupts the tracer, as Ctrl-C does, and returns its output.
    pub fn stop(self) -> Report {
        self.signal(Signal::SIGINT);
        self.join()
    }

    /// Waits until the tracer ends by itself, and returns its output.
    pub fn join(mut self) -> Report {
        let status = self.process.wait(END_LIMIT);
        if self.stdout.is_none() {
            self.read();
        }
        let stdout =
            self.stdout.take().expect("being read").recv_timeout(END_LIMIT).expect("all of the output");
        loop {
            match self.stderr.recv_timeout(END_LIMIT) {
                Ok(line) => self.said = self.said + &line + "\n",
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("standard error stays open: {}", self.said),
            }
        }
        Report { stdout: String::from_utf8(stdout).expect("UTF-8"), stderr: self.said, code: status.code() }
    }
}

impl Report {
    /// The objects of this type of a JSON trace.
    pub fn of_type(&self, kind: &str) -> Vec<Value> {
        self.lines_of_type(kind).map(parse).collect()
    }

    /// The lines of this type of a JSON trace. Quotes inside a JSON string are escaped, so a text search is enough.
    pub fn lines_of_type(&self, kind: &str) -> impl Iterator<Item = &str> {
        let field = format!("\"type\":\"{kind}\"");
        self.stdout.lines().filter(move |line| line.contains(&field))
    }

    /// The transitions of a JSON trace that the kernel reported, in order of time.
    pub fn transitions(&self) -> Vec<Transition> {
        let read = |line| Transition { json: parse(line), ..parse(line) };
        self.sorted(read)
    }

    /// As [`Self::transitions`], without the JSON objects: for many transitions.
    pub fn bare_transitions(&self) -> Vec<Transition> {
        self.sorted(parse)
    }

    fn sorted<'a>(&'a self, read: impl Fn(&'a str) -> Transition) -> Vec<Transition> {
        let observed =
            self.lines_of_type("transition").filter(|line| !line.contains("\"origin\":\"inferred\""));
        let mut transitions: Vec<_> = observed.map(read).collect();
        transitions.sort_by_key(|transition| transition.ktime_ns);
        for Transition { tuple, .. } in &transitions {
            assert_eq!(*tuple, tuple.canonical(), "tcptrace shows IPv4-mapped addresses as IPv4");
        }
        transitions
    }

    /// The summary of a JSON trace. Asserts that its sums are right, and that it is the only summary and the last line.
    pub fn summary(&self) -> Account {
        let line = self.stdout.lines().last().unwrap_or_else(|| panic!("no output; {}", self.stderr));
        assert_eq!(self.lines_of_type("summary").collect::<Vec<_>>(), [line], "one summary, at the end");
        let json: Value = parse(line);
        let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("no number in {json}"));
        let lost = &json["lost"];
        let account = Account {
            seen: number(&json["seen"]),
            delivered: number(&json["delivered"]),
            filtered: number(&json["filtered"]),
            sampled_out: number(&json["sampled_out"]),
            lost: number(&lost["ring_full"]) + number(&lost["output"]) + number(&lost["undecodable"]),
            missed_runs: number(&lost["missed_runs"]),
            matrix: json["matrix"]
                .as_array()
                .expect("a matrix")
                .iter()
                .map(|cell| {
                    let state = |name: &str| cell[name].as_str().expect("a state").to_owned();
                    (state("old_state"), state("new_state"), number(&cell["count"]))
                })
                .collect(),
        };
        account.check();
        // The lines of `life` are ends of connections.
        let (kind, told) = match json["connections"].as_u64() {
            Some(connections) => ("connection", connections),
            None => ("transition", account.delivered + number(&json["inferred"])),
        };
        let lines = self.lines_of_type(kind).count() as u64;
        assert_eq!(lines, told, "lines are what it says: {json}");
        account
    }

    /// The summary on standard error. Asserts that its sum is right.
    pub fn account(&self) -> Account {
        let line = self.stderr.lines().find(|line| line.contains(" seen = "));
        let line = line.unwrap_or_else(|| panic!("no summary on standard error: {}", self.stderr));
        let before = |word: &str| {
            let (head, _) = line.split_once(word).unwrap_or_else(|| panic!("no '{word}' in {line}"));
            head.rsplit(' ').next().and_then(|number| number.parse().ok()).expect("a number")
        };
        let account = Account {
            seen: before(" seen"),
            // `--quiet` prints "counted".
            delivered: if line.contains(" counted") { before(" counted") } else { before(" delivered") },
            filtered: before(" filtered"),
            sampled_out: if line.contains(" sampled out +") { before(" sampled out +") } else { 0 },
            lost: before(" lost"),
            missed_runs: 0,
            matrix: Vec::new(),
        };
        account.check();
        account
    }

    /// Asserts a clean end with nothing lost, and returns the account.
    pub fn assert_lossless(&self) -> Account {
        assert_eq!(self.code, Some(0), "exit code; {}", self.stderr);
        let account = self.summary();
        let missing = (account.sampled_out, account.lost, account.missed_runs);
        assert_eq!(missing, (0, 0, 0), "nothing is lost");
        account
    }
}

fn parse<'a, T: serde::Deserialize<'a>>(line: &'a str) -> T {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"))
}

/// The account of a trace at its end.
#[derive(Clone, Debug)]
pub struct Account {
    /// Transitions seen in the kernel.
    pub seen: u64,
    /// Transitions printed.
    pub delivered: u64,
    /// Transitions hidden by filters.
    pub filtered: u64,
    /// Transitions that pass the filters and were only counted.
    pub sampled_out: u64,
    /// Transitions seen that pass the filters and were not printed.
    pub lost: u64,
    /// Runs that the kernel skipped, so that it did not even count the transitions.
    pub missed_runs: u64,
    /// Old state, new state, count; empty when not known.
    pub matrix: Vec<(String, String, u64)>,
}

impl Account {
    fn check(&self) {
        let accounted = self.delivered + self.filtered + self.sampled_out + self.lost;
        assert_eq!(self.seen, accounted, "the account is exact: {self:?}");
        let cells: u64 = self.matrix.iter().map(|(_, _, count)| count).sum();
        assert!(
            self.matrix.is_empty() || cells == self.seen,
            "the matrix counts all that was seen: {self:?}"
        );
    }
}
