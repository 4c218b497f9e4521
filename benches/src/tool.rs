//! The tools that are measured, and their start.

use std::{
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::proc;

/// One column of the comparison.
pub(crate) struct Tool {
    /// The name in the table.
    pub(crate) name: String,
    /// The command that is run; `None`: no tool runs.
    command: Option<(PathBuf, Vec<String>)>,
    /// Whether the empty program runs inside this process.
    pub(crate) floor: bool,
    /// Whether it is this project's tool, as opposed to a peer.
    pub(crate) ours: bool,
}

/// A bpftrace program that prints the same fields as `tcpstates`.
const BPFTRACE: &str = "tracepoint:sock:inet_sock_set_state { printf(\"%d %s %s:%d %s:%d %d %d\\n\", pid, comm, \
     ntop(args->saddr), args->sport, ntop(args->daddr), args->dport, args->oldstate, args->newstate); }";

/// No tool, the floor, the tracer with each set of options, and the peers that are installed.
pub(crate) fn all(tracer: &Path, alone: bool) -> Vec<Tool> {
    let ours = |arguments: &[&str]| Tool::ours(tracer, arguments);
    let mut tools = vec![
        Tool { name: "nothing".to_owned(), command: None, floor: false, ours: false },
        Tool { name: "empty tp_btf program".to_owned(), command: None, floor: true, ours: false },
        ours(&[]),
        ours(&["-o", "json"]),
        ours(&["-o", "csv"]),
        ours(&["--quiet"]),
        ours(&["--half-open"]),
        ours(&["--hook", "tracepoint"]),
    ];
    let peers = [
        ("libbpf-tools tcpstates", "tcpstates", vec![]),
        ("bpftrace printf", "bpftrace", vec!["-e", BPFTRACE]),
    ];
    for (name, program, arguments) in peers {
        if alone {
            continue;
        }
        let found = ["/usr/sbin", "/usr/bin", "/usr/local/sbin"]
            .iter()
            .map(|folder| Path::new(folder).join(program))
            .find(|path| path.exists());
        match found {
            Some(path) => tools.push(Tool {
                name: name.to_owned(),
                command: Some((path, arguments.into_iter().map(str::to_owned).collect())),
                floor: false,
                ours: false,
            }),
            None => eprintln!("{program} is not installed; it is left out"),
        }
    }
    tools
}

/// An empty file, open for appending: if it is emptied meanwhile, its writer goes on at the new end.
fn appended(path: &Path) -> Result<File> {
    File::create(path)?;
    Ok(OpenOptions::new().append(true).open(path)?)
}

/// The interval between two checks for the end of a tool's start.
const LOOK: Duration = Duration::from_millis(100);

/// A tool that runs and is attached.
pub(crate) struct Running {
    child: Option<Child>,
    floor: Option<tcptrace::bpf::Floor>,
}

impl Tool {
    /// The tracer with these arguments.
    pub(crate) fn ours(tracer: &Path, arguments: &[&str]) -> Self {
        Self {
            name: format!("tcptrace {}", arguments.join(" ")).trim_end().to_owned(),
            command: Some((tracer.to_owned(), arguments.iter().map(|a| (*a).to_owned()).collect())),
            floor: false,
            ours: true,
        }
    }

    /// Starts the tool, and waits until its program is loaded. The tool appends to the file `output`.
    pub(crate) fn start(&self, output: &Path) -> Result<Running> {
        let floor = if self.floor { Some(tcptrace::bpf::load_floor()?) } else { None };
        let Some((program, arguments)) = &self.command else { return Ok(Running { child: None, floor }) };
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(appended(output)?)
            .stderr(File::create(output.with_extension("err"))?)
            .spawn()
            .with_context(|| format!("starting {}", self.name))?;
        let running = Running { child: Some(child), floor };
        let deadline = Instant::now() + Duration::from_secs(10);
        while proc::programs(running.pid())?.is_empty() {
            if Instant::now() > deadline {
                bail!("{} loaded no program", self.name);
            }
            thread::sleep(Duration::from_millis(10));
        }
        running.settle(deadline)?;
        Ok(running)
    }
}

impl Running {
    /// The process that holds the program. For the floor and for no tool, it is this process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().map_or_else(std::process::id, Child::id)
    }

    /// Waits until the tool has attached and read its inputs at the start: until it hardly uses CPU time.
    fn settle(&self, deadline: Instant) -> Result<()> {
        thread::sleep(LOOK);
        let mut before = proc::cpu_time(self.pid())?;
        let mut rests = 0;
        while rests < 3 && Instant::now() < deadline {
            thread::sleep(LOOK);
            let now = proc::cpu_time(self.pid())?;
            rests = if now.saturating_sub(before) < LOOK / 20 { rests + 1 } else { 0 };
            before = now;
        }
        Ok(())
    }

    /// Whether a separate process runs.
    pub(crate) fn is_process(&self) -> bool {
        self.child.is_some()
    }

    /// Ends the tool as Ctrl-C does, and kills it if it does not end; returns its exit code.
    pub(crate) fn stop(mut self) -> Result<Option<i32>> {
        self.floor = None;
        let Some(child) = &mut self.child else { return Ok(None) };
        kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGINT)?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                child.kill()?;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let code = child.wait()?.code();
        self.child = None;
        Ok(code)
    }
}

impl Drop for Running {
    /// After an error, no process may stay behind.
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
