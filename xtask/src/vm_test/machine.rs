//! One virtual machine: start it, watch its console, end it.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::catalogue::Arch;

/// The longest that a guest may take, from power on to power off.
const LIMIT: Duration = Duration::from_mins(10);

/// The parts that a machine starts from.
pub(crate) struct Boot<'a> {
    pub(crate) arch: Arch,
    /// Folder of the unpacked emulator.
    pub(crate) emulator: &'a Path,
    pub(crate) kernel: &'a Path,
    pub(crate) initrd: &'a Path,
    /// The file that receives the console's output.
    pub(crate) log: &'a Path,
    /// Variables of the first process.
    pub(crate) environment: &'a [String],
}

/// A machine that is switched off when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a machine to its end and passes every line of its console to `line`.
///
/// # Errors
/// The emulator does not start, or the machine does not end in time.
pub(crate) fn run(boot: &Boot<'_>, mut line: impl FnMut(&str)) -> Result<()> {
    let mut log = File::create(boot.log).with_context(|| boot.log.display().to_string())?;
    let mut command = command(boot);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log.try_clone()?).spawn();
    let mut machine = Running(child.context("the emulator does not start")?);
    let console = lines(machine.0.stdout.take().context("the emulator's console")?);
    let deadline = Instant::now() + LIMIT;
    loop {
        match console.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(text) => {
                writeln!(log, "{text}")?;
                line(&text);
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => bail!("the machine does not end within {} s", LIMIT.as_secs()),
        }
    }
    let status = machine.0.wait()?;
    if !status.success() {
        bail!("the emulator failed: {status}");
    }
    Ok(())
}

/// The emulator with the libraries that came with it, independent of this system's libraries.
fn command(boot: &Boot<'_>) -> Command {
    let (name, machine, console) = boot.arch.qemu();
    let root = boot.emulator;
    let triple = format!("{}-linux-gnu", std::env::consts::ARCH);
    let libraries = [format!("usr/lib/{triple}"), format!("lib/{triple}")].map(|path| root.join(path));
    let loader = match std::env::consts::ARCH {
        "aarch64" => "usr/lib/ld-linux-aarch64.so.1",
        _ => "usr/lib64/ld-linux-x86-64.so.2",
    };
    let mut command = Command::new(root.join(loader));
    command.arg("--library-path").arg(libraries.map(|path| path.display().to_string()).join(":"));
    command.arg(root.join("usr/bin").join(name));
    command.env("QEMU_MODULE_DIR", root.join(format!("usr/lib/{triple}/qemu")));
    for firmware in ["usr/share/qemu", "usr/share/seabios"] {
        command.arg("-L").arg(root.join(firmware));
    }
    // Processors in software work everywhere, also inside a virtual machine.
    command.args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1024"]).args(machine);
    command.args(["-nic", "none", "-display", "none", "-serial", "stdio", "-no-reboot"]);
    command.arg("-kernel").arg(boot.kernel).arg("-initrd").arg(boot.initrd);
    let environment = boot.environment.join(" ");
    command.arg("-append").arg(format!("console={console} quiet loglevel=3 panic=-1 {environment}"));
    command
}

fn lines(console: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(console).split(b'\n') {
            let Ok(line) = line else { return };
            let line = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
