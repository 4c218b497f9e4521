//! A separate process that has a socket: `actor`.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use crate::{machine::helper, process::Running};

const LIMIT: Duration = Duration::from_secs(10);

/// Starts `program` (`env!("CARGO_BIN_EXE_actor")`) and waits until it has its socket. Returns the process and the
/// local end of the socket.
pub fn start(program: &'static str, what: &str, address: SocketAddr) -> (Running, SocketAddr) {
    start_program(&helper(program), what, address)
}

/// As [`start`], with the program at this path.
pub fn start_program(program: &Path, what: &str, address: SocketAddr) -> (Running, SocketAddr) {
    let mut command = Command::new(program);
    command.args([what, &address.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut actor = Running::spawn(&mut command);
    let line = act(&mut actor);
    let local = line.parse().unwrap_or_else(|_| panic!("the actor has no socket: '{line}'"));
    (actor, local)
}

/// Makes the actor act. It must have been started with pipes for its standard input and output.
pub fn begin(actor: &mut Running) {
    actor.child().stdin.as_mut().expect("a pipe").write_all(b"\n").expect("the actor reads");
}

/// As [`begin`], and returns the line that the actor then prints.
pub fn act(actor: &mut Running) -> String {
    begin(actor);
    let mut line = String::new();
    let stdout = actor.child().stdout.as_mut().expect("a pipe");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    line.trim().to_owned()
}

/// Lets the actor end with its socket open.
pub fn exit(mut actor: Running) {
    drop(actor.child().stdin.take());
    assert!(actor.wait(LIMIT).success(), "the actor ends well");
}
