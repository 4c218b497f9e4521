//! Every command in the documents is run as written; commands that build are only checked to exist.
//!
//! Commands are the lines of fenced `sh` blocks. Commands that trace are ended by Ctrl-C's signal after a moment.
//! Commands that need another machine, such as a container's runtime, are in `console` blocks, and are not run.

use std::{
    env, fs,
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Command, Stdio},
    thread::{self, sleep},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tcptrace_tests::{
    host,
    machine::{is_root, skip, tcptrace},
    process::collect,
};

use crate::{
    blocks::{Block, blocks, root},
    examples::is_header,
};

/// The time that a command may trace before it is interrupted.
const MOMENT: Duration = Duration::from_millis(1_500);

struct Documented {
    file: PathBuf,
    command: String,
}

/// The commands of all `sh` blocks; a line that ends in `|` or `\` continues on the next.
fn commands() -> Vec<Documented> {
    let mut commands = Vec::new();
    for Block { file, lines, .. } in blocks(&["sh"]) {
        let mut command = String::new();
        for line in lines.iter().map(|line| line.trim()) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            command.push_str(line);
            command.push('\n');
            if !line.ends_with(['|', '\\']) {
                let command = std::mem::take(&mut command);
                commands.push(Documented { file: file.clone(), command });
            }
        }
    }
    commands
}

#[test]
fn documents_have_commands() {
    let commands = commands();
    let of = |word: &str| commands.iter().filter(|c| c.command.starts_with(word)).count();
    assert!(of("tcptrace") >= 8, "the recipes");
    assert!(of("cargo xtask run") >= 1 && of("cargo xtask test") >= 1, "the two commands");
}

/// Commands that build take minutes, and CI runs them anyway. Here they are only checked to exist.
#[test]
fn commands_of_cargo_exist() {
    let xtask = fs::read_to_string(root().join("xtask/src/main.rs")).expect("xtask");
    for Documented { file, command } in commands() {
        let words: Vec<&str> = command.split_whitespace().collect();
        match words.as_slice() {
            ["cargo", "xtask", name, ..] => {
                let module = format!("mod {};", name.replace('-', "_"));
                assert!(xtask.contains(&module), "{}: {command}", file.display());
            }
            ["cargo", "install", "--path", path, ..] => {
                assert!(root().join(path).join("Cargo.toml").exists(), "{}: {command}", file.display());
            }
            ["cargo", "build" | "test" | "bench" | "fmt" | "clippy", ..] | ["tcptrace", ..] => {}
            _ => panic!("{}: no test knows how to run: {command}", file.display()),
        }
    }
}

/// Runs the recipes, with the tracer under test first in the PATH.
#[test]
fn commands_of_tcptrace_run() {
    if !is_root("commands_of_tcptrace_run") {
        return;
    }
    let _host = host::share();
    if Command::new("jq").arg("--version").stdout(Stdio::null()).status().is_err() {
        return skip("commands_of_tcptrace_run", "needs jq (Debian: apt-get install jq)");
    }
    thread::scope(|scope| {
        for documented in commands().into_iter().filter(|c| c.command.starts_with("tcptrace")) {
            scope.spawn(move || run(&documented));
        }
    });
}

fn run(documented: &Documented) {
    let Documented { file, command } = documented;
    let context = format!("{}: {command}", file.display());
    let folder = tempfile::tempdir().expect("a folder to write to");
    let path = env::join_paths(
        std::iter::once(tcptrace().parent().expect("the binary lies in a folder").to_owned())
            .chain(env::split_paths(&env::var_os("PATH").unwrap_or_default())),
    )
    .expect("a search path");
    let shell = ["-o", "pipefail", "-c", command];
    let mut child = Command::new("bash")
        .args(shell)
        .env("PATH", path)
        .current_dir(folder.path())
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("bash");
    let stdout = collect(child.stdout.take().expect("a pipe"));
    let group = Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
    sleep(MOMENT);
    // Commands that end by themselves need no signal.
    let once = ["tcptrace doctor", "tcptrace sockets"];
    let traces = command.contains("--watch") || !once.iter().any(|name| command.starts_with(name));
    let interrupted = traces && child.try_wait().expect("its state").is_none() && interrupt_tracer(group);
    let deadline = Instant::now() + Duration::from_secs(20);
    while child.try_wait().expect("its state").is_none() {
        if Instant::now() > deadline {
            let _ = killpg(group, Signal::SIGKILL);
            panic!("{context}: does not end");
        }
        sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().expect("its output");
    let stderr = String::from_utf8_lossy(&output.stderr);
    let code = output.status.code();
    // Other tests may load the host, so a loss with a tiny ring is no error of the command. A finding is no error
    // either, since tests cause faults on this host.
    let found = code == Some(3) && command.contains("diagnose");
    let fine = found || matches!(code, Some(0 | 4));
    assert!(fine, "{context}: {code:?} (interrupted: {interrupted})\n{stderr}");
    assert!(!stderr.contains("error"), "{context}: {stderr}");
    let stdout = stdout.recv_timeout(Duration::from_secs(10)).expect("its output ends with it");
    assert_has_documented_header(command, &String::from_utf8_lossy(&stdout));
}

/// Asserts that a command with a table prints a header first, and that a document shows this header.
fn assert_has_documented_header(command: &str, stdout: &str) {
    let words: Vec<&str> = command.split_whitespace().collect();
    let is_table = match words[1] {
        "life" | "sockets" => true,
        // An option: the command is a trace.
        word => word.starts_with('-'),
    };
    let others = ["|", ">", "-o", "-w", "--by"];
    if is_table && !words.iter().any(|word| others.contains(word)) {
        let header = stdout.lines().next().unwrap_or_default();
        let is_documented =
            blocks(&["text"]).iter().any(|block| block.lines.iter().any(|line| line == header));
        assert!(is_header(header) && is_documented, "{command} prints first: {header}");
    }
}

/// Interrupts the tracer alone: a shell that is interrupted, too, would not wait for the rest of a pipeline.
fn interrupt_tracer(group: Pid) -> bool {
    let processes = fs::read_dir("/proc").expect("/proc").filter_map(Result::ok);
    for process in processes {
        let Ok(stat) = fs::read_to_string(process.path().join("stat")) else { continue };
        let Some((name, fields)) = stat.rsplit_once(')') else { continue };
        let in_group = fields.split_whitespace().nth(2) == Some(&group.to_string());
        if in_group && name.ends_with("(tcptrace") {
            let pid = process.file_name().to_string_lossy().parse().expect("a process id");
            return nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGINT).is_ok();
        }
    }
    false
}
