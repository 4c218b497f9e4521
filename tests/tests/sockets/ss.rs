//! The output of `ss`, with each socket's cookie, which identifies the socket on both sides.

use std::{net::IpAddr, process::Command};

use tcptrace_tests::process::output;

/// A socket according to `ss`.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) state: String,
    pub(crate) recv_queue: u64,
    pub(crate) send_queue: u64,
    pub(crate) local: (IpAddr, u16),
    pub(crate) remote: (IpAddr, u16),
    /// Kind of the timer, and retransmits.
    pub(crate) timer: Option<(String, u64)>,
    pub(crate) inode: u64,
    pub(crate) uid: u64,
    pub(crate) cookie: u64,
    /// Process ids and descriptors.
    pub(crate) users: Vec<(u64, u64)>,
}

/// All TCP sockets of the calling thread's namespace, without their users, whose names could be anything.
pub(crate) fn lines() -> Vec<Line> {
    run("-Htanoe")
}

/// As [`lines`], with users.
pub(crate) fn lines_with_users() -> Vec<Line> {
    run("-Htanoep")
}

/// The raw output of `ss`.
pub(crate) fn raw() -> String {
    print("-Htan")
}

fn run(options: &str) -> Vec<Line> {
    print(options).lines().map(parse).collect()
}

fn print(options: &str) -> String {
    let output = output(Command::new("ss").arg(options));
    assert!(output.status.success(), "ss: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn parse(line: &str) -> Line {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [state, recv_queue, send_queue, local, remote, rest @ ..] = &fields[..] else {
        panic!("no socket: {line}");
    };
    let named = |name: &str| rest.iter().find_map(|field| field.strip_prefix(name));
    let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("no number: {text} in {line}"));
    Line {
        state: state_name(state),
        recv_queue: number(recv_queue),
        send_queue: number(send_queue),
        local: end(local),
        remote: end(remote),
        timer: named("timer:(").map(|timer| {
            let parts: Vec<&str> = timer.trim_end_matches(')').split(',').collect();
            (parts[0].to_owned(), number(parts[2]))
        }),
        inode: named("ino:").map_or(0, number),
        uid: named("uid:").map_or(0, number),
        cookie: u64::from_str_radix(named("sk:").expect("a cookie"), 16).expect("a number"),
        users: named("users:(").map_or_else(Vec::new, users),
    }
}

/// The kernel's name for a state of `ss`.
fn state_name(name: &str) -> String {
    match name {
        "ESTAB" => "ESTABLISHED".to_owned(),
        "FIN-WAIT-1" => "FIN_WAIT1".to_owned(),
        "FIN-WAIT-2" => "FIN_WAIT2".to_owned(),
        other => other.replace('-', "_"),
    }
}

fn end(text: &str) -> (IpAddr, u16) {
    let (address, port) = text.rsplit_once(':').expect("an address and a port");
    let address = address.split_once('%').map_or(address, |(address, _device)| address);
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let ip = if address == "*" { "::" } else { address };
    let ip: IpAddr = ip.parse().unwrap_or_else(|_| panic!("no address: {text}"));
    (ip.to_canonical(), port.parse().unwrap_or(0))
}

/// Parses `("name",pid=1,fd=3),(...)`; names of the tests' own processes have no commas.
fn users(text: &str) -> Vec<(u64, u64)> {
    let number = |part: &str, name: &str| {
        let (_, rest) = part.split_once(name)?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    text.split("),(").filter_map(|part| Some((number(part, "pid=")?, number(part, "fd=")?))).collect()
}
