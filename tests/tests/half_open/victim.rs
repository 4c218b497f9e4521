//! A namespace to be flooded, and its two other witnesses: `ss`, and the kernel's counters.

use std::{collections::HashMap, fs, process::Command, thread::sleep, time::Duration};

use nix::sys::signal::Signal;
use serde_json::Value;
use tcptrace_tests::{
    fixture::Fixture,
    machine::Hook,
    netns::sysctl,
    process::{Running, output, tool},
    tracer::{Report, Tracer},
    wait::eventually,
};

/// A namespace in which SYN-ACKs to unknown hosts are lost, and half-open connections end soon.
pub(crate) struct Victim {
    pub(crate) world: Fixture,
    /// A process, by which scans find the namespace, as with containers.
    _resident: Running,
}

/// Retransmissions of a SYN-ACK in the namespace of a [`Victim`]. A half-open connection there lives for three seconds:
/// one until the retransmission, and two more.
pub(crate) const RETRIES: u64 = 1;

impl Victim {
    pub(crate) fn new() -> Self {
        let world = Fixture::new();
        let resident = world.namespace.run(|| {
            // SYN-ACKs come back to the host itself, where no socket listens.
            tool("ip", ["route", "add", "203.0.113.0/24", "dev", "lo"]);
            tool("ip", ["route", "add", "2001:db8:1::/64", "dev", "lo"]);
            sysctl("net/ipv4/tcp_synack_retries", &RETRIES.to_string());
            sysctl("net/ipv4/tcp_syncookies", "0");
            sysctl("net/ipv4/tcp_max_syn_backlog", "100000");
            sysctl("net/core/somaxconn", "4096");
            Running::spawn(Command::new("sleep").arg("100"))
        });
        Self { world, _resident: resident }
    }

    /// Starts a tracer of this namespace, with JSON output.
    pub(crate) fn trace(&self, hook: Hook, arguments: &[&str]) -> Tracer {
        let netns = self.world.namespace.inode().to_string();
        Tracer::start(hook, &[&["-o", "json", "--netns", &netns], arguments].concat())
    }

    /// The sockets in SYN-RECV according to `ss`: local and remote end.
    pub(crate) fn listed(&self) -> Vec<(String, String)> {
        self.world.namespace.run(|| {
            let output = output(Command::new("ss").args(["-tanH", "state", "syn-recv"]));
            let text = String::from_utf8(output.stdout).expect("ss prints text");
            let ends = |line: &str| {
                // IPv4 on an IPv6 listener is shown as IPv4.
                let plain = |end: &str| match end.strip_prefix("[::ffff:") {
                    Some(mapped) => mapped.replace("]:", ":"),
                    None => end.to_owned(),
                };
                let mut words = line.split_whitespace().skip(2).map(plain);
                Some((words.next()?, words.next()?))
            };
            text.lines().map(|line| ends(line).expect("two ends")).collect()
        })
    }

    /// Waits until `ss` shows none.
    pub(crate) fn wait_until_over(&self) {
        eventually("all half-open connections are over", || self.listed().is_empty());
    }

    /// The namespace's counters of `/proc/net/netstat`.
    pub(crate) fn netstat(&self) -> HashMap<String, u64> {
        self.world.namespace.run(|| {
            let text = fs::read_to_string("/proc/thread-self/net/netstat").expect("netstat");
            let mut lines = text.lines().filter_map(|line| line.strip_prefix("TcpExt:"));
            let (names, numbers) = (lines.next().expect("names"), lines.next().expect("numbers"));
            let numbers = numbers.split_whitespace().map(|number| number.parse().expect("a number"));
            names.split_whitespace().map(str::to_owned).zip(numbers).collect()
        })
    }
}

/// Waits long enough for a poll to be requested and answered, and for its results to be printed.
pub(crate) fn poll() {
    sleep(Duration::from_millis(2_500));
}

/// The output of a trace about half-open connections.
pub(crate) struct Told {
    pub(crate) lines: Vec<Value>,
    pub(crate) summary: Value,
}

/// Ends a trace, and checks its accounts.
pub(crate) fn stop(tracer: Tracer) -> Told {
    tracer.signal(Signal::SIGINT);
    told(&tracer.join())
}

/// Reads the output of a trace, checks its accounts, and asserts that each line is accounted for.
pub(crate) fn told(report: &Report) -> Told {
    let told = accounts(report);
    for end in ["completed", "timed_out", "dropped", "unknown"] {
        let counted = told.number(&format!("followed/{end}"));
        assert_eq!(told.count("end", Some(end)), counted, "{end} lines are what it says");
    }
    assert_eq!(told.count("begin", None), told.number("followed/begun"));
    assert_eq!(told.count("retransmit", None), told.number("followed/retransmits"));
    told
}

/// Reads the output of a trace, and checks its accounts.
pub(crate) fn accounts(report: &Report) -> Told {
    report.assert_lossless();
    let lines = report.of_type("half_open");
    let summary = report.of_type("summary")[0]["half_open"].clone();
    let told = Told { lines, summary };
    let number = |name: &str| told.number(name);
    let lost: u64 =
        ["ring_full", "output", "undecodable"].iter().map(|cause| number(&format!("lost/{cause}"))).sum();
    assert_eq!(number("seen"), number("syns") + number("retransmits"));
    assert_eq!(number("seen"), number("delivered") + number("filtered") + lost, "{}", told.summary);
    let ends = ["completed", "timed_out", "dropped", "unknown", "evicted", "open"];
    let ended: u64 = ends.iter().map(|end| number(&format!("followed/{end}"))).sum();
    assert_eq!(number("followed/begun"), ended, "{}", told.summary);
    told
}

impl Told {
    /// A number of the summary by its path.
    pub(crate) fn number(&self, path: &str) -> u64 {
        let value = self.summary.pointer(&format!("/{path}"));
        value.and_then(Value::as_u64).unwrap_or_else(|| panic!("no number {path} in {}", self.summary))
    }

    /// The number of lines of a kind.
    pub(crate) fn count(&self, what: &str, cause: Option<&str>) -> u64 {
        self.of(what).filter(|line| cause.is_none_or(|cause| line["cause"] == cause)).count() as u64
    }

    /// The lines of a kind.
    pub(crate) fn of(&self, what: &str) -> impl Iterator<Item = &Value> {
        self.lines.iter().filter(move |line| line["what"] == what)
    }

    /// A counter of the only namespace, from the summary.
    pub(crate) fn netstat(&self, name: &str) -> u64 {
        self.number(&format!("namespaces/0/{name}"))
    }
}

/// Both ends of a line, in the form of `ss`.
pub(crate) fn ends(line: &Value) -> (String, String) {
    let end = |address: &str, port: &str| {
        let address = line[address].as_str().expect("an address");
        let port = &line[port];
        if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
    };
    (end("laddr", "lport"), end("raddr", "rport"))
}
