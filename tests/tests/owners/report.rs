//! Reports of tcptrace and `ss`.

use std::{collections::BTreeSet, net::SocketAddr, process::Command};

use serde_json::Value;
use tcptrace_tests::{
    degraded::{NO_BTF, under},
    machine::tcptrace,
    process::output,
};

/// Process ids.
pub(crate) type Pids = BTreeSet<u32>;

/// The sockets of the namespace with this inode, by each source: the kernel's program, and `/proc` if type information
/// is hidden.
pub(crate) fn reports(netns: u32) -> [Report; 2] {
    [Command::new(tcptrace()), under(NO_BTF, "")]
        .map(|mut command| Report::of(command.args(["sockets", "--netns", &netns.to_string()])))
}

/// The sockets of one namespace.
pub(crate) struct Report(Vec<Value>);

impl Report {
    /// The output of `command`, which becomes `tcptrace sockets`.
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = output(command.args(["-o", "json"]));
        let said = String::from_utf8_lossy(&output.stderr);
        // 4: it may not inspect every process of the host.
        assert!(matches!(output.status.code(), Some(0 | 4)), "{said}");
        let lines = String::from_utf8(output.stdout).expect("text");
        let lines = lines.lines().map(|line| serde_json::from_str(line).expect("JSON"));
        Self(lines.filter(|line: &Value| line["type"] == "socket").collect())
    }

    /// The owners of the socket with this local end, in this state.
    pub(crate) fn owners(&self, local: SocketAddr, state: &str) -> &[Value] {
        let is_it = |socket: &&Value| {
            socket["laddr"] == local.ip().to_string()
                && socket["lport"] == local.port()
                && socket["state"] == state
        };
        let found: Vec<&Value> = self.0.iter().filter(is_it).collect();
        let [socket] = found[..] else { panic!("{local} in {state}: {found:?} among {:?}", self.0) };
        socket["owners"].as_array().expect("owners")
    }

    /// The processes that hold the socket.
    pub(crate) fn pids(&self, local: SocketAddr, state: &str) -> Pids {
        let pid = |owner: &Value| {
            assert_eq!(owner["provenance"], "exact", "{owner}");
            u32::try_from(owner["pid"].as_u64().expect("a number")).expect("a process id")
        };
        self.owners(local, state).iter().map(pid).collect()
    }
}

/// The processes that hold the socket with this local end, according to `ss`, which reads only the tables of whole
/// processes. Must be called in the namespace.
pub(crate) fn ss(local: SocketAddr, state: &str) -> Pids {
    let output = output(Command::new("ss").args(["-Htanp", "state", state, "src", &local.to_string()]));
    let text = String::from_utf8(output.stdout).expect("text");
    let pids = text.split("pid=").skip(1);
    pids.map(|rest| rest.split(',').next().expect("a number").parse().expect("a process id")).collect()
}
