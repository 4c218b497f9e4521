//! The independent witness: tracefs' own `sock:inet_sock_set_state` event, in an instance of our own.

use std::{
    fs,
    net::IpAddr,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    mount::{MntFlags, MsFlags, mount, umount2},
};
use tempfile::TempDir;

use crate::transition::{Transition, Tuple};

const EVENT: &str = "events/sock/inet_sock_set_state";

/// A tracefs instance that records the event; removed when dropped.
#[derive(Debug)]
pub struct Tracefs {
    instance: PathBuf,
    _mount: Option<Mount>,
}

/// tracefs mounted by us.
#[derive(Debug)]
struct Mount(TempDir);

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = umount2(self.0.path(), MntFlags::MNT_DETACH);
    }
}

impl Tracefs {
    /// Starts recording transitions of sockets with a port in `ports`, at most `buffer_kib` on each CPU.
    /// `number` is unique among the tests that run now.
    pub fn start(number: u16, ports: &RangeInclusive<u16>, buffer_kib: u32) -> Self {
        let (root, mount) = tracefs();
        let instance = root.join("instances").join(format!("tcptrace-test-{number}"));
        // Left over from a test that was killed; its slot is ours now.
        remove(&instance);
        fs::create_dir(&instance).expect("an instance of tracefs");
        let this = Self { instance, _mount: mount };
        this.set("buffer_size_kb", &buffer_kib.to_string());
        this.set("trace_clock", "mono");
        let (first, last) = (ports.start(), ports.end());
        let filter =
            format!("(sport >= {first} && sport <= {last}) || (dport >= {first} && dport <= {last})");
        this.set(&format!("{EVENT}/filter"), &filter);
        this.set(&format!("{EVENT}/enable"), "1");
        this
    }

    /// An instance is "no such device" for moments in which another one comes or goes.
    fn set(&self, file: &str, value: &str) {
        let path = self.instance.join(file);
        let deadline = Instant::now() + Duration::from_secs(2);
        while let Err(error) = fs::write(&path, value) {
            let passing = error.raw_os_error() == Some(Errno::ENODEV as i32) && Instant::now() < deadline;
            assert!(passing, "{}: {error}", path.display());
            sleep(Duration::from_millis(5));
        }
    }

    /// What was recorded so far: real transitions of TCP, in order of time, children with their own ends.
    pub fn transitions(&self) -> Vec<Transition> {
        self.assert_complete();
        let text = fs::read(self.instance.join("trace")).expect("tracefs' trace");
        let text = String::from_utf8_lossy(&text);
        let mut transitions: Vec<Transition> = text.lines().filter_map(parse).collect();
        transitions.sort_by_key(|transition| transition.ktime_ns);
        with_peers(&transitions)
    }

    /// How many of all kinds were recorded so far; cheap.
    pub fn entries(&self) -> u64 {
        self.statistics("entries:")
    }

    fn assert_complete(&self) {
        for name in ["overrun:", "commit overrun:", "dropped events:"] {
            assert_eq!(self.statistics(name), 0, "tracefs lost events ({name}): its buffer is too small");
        }
    }

    fn statistics(&self, name: &str) -> u64 {
        let cpus = fs::read_dir(self.instance.join("per_cpu")).expect("tracefs' per_cpu");
        cpus.map(|cpu| {
            let stats = fs::read_to_string(cpu.expect("a CPU").path().join("stats")).expect("stats of a CPU");
            let value = stats.lines().find_map(|line| line.strip_prefix(name)).expect(name);
            value.trim().parse::<u64>().expect("a number")
        })
        .sum()
    }
}

impl Drop for Tracefs {
    fn drop(&mut self) {
        let _ = fs::write(self.instance.join(EVENT).join("enable"), "0");
        remove(&self.instance);
    }
}

/// Removes an instance. It is busy while a process that another thread starts still has copies of our
/// descriptors.
fn remove(instance: &Path) {
    let deadline = Instant::now() + Duration::from_secs(2);
    while instance.exists() && fs::remove_dir(instance).is_err() && Instant::now() < deadline {
        sleep(Duration::from_millis(5));
    }
}

/// Where tracefs is; mounted for as long as needed where it is not.
fn tracefs() -> (PathBuf, Option<Mount>) {
    for place in ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"] {
        if Path::new(place).join(EVENT).exists() {
            return (PathBuf::from(place), None);
        }
    }
    let directory = TempDir::new().expect("a directory to mount tracefs on");
    mount(Some("tracefs"), directory.path(), Some("tracefs"), MsFlags::empty(), None::<&str>)
        .expect("mounting tracefs");
    (directory.path().to_owned(), Some(Mount(directory)))
}

/// Kernels up to 6.12 show a new child with the listener's ends; its own are in what it does next.
fn with_peers(all: &[Transition]) -> Vec<Transition> {
    let mut complete = all.to_vec();
    let mut used = vec![false; all.len()];
    for (index, transition) in complete.iter_mut().enumerate() {
        if transition.old == "LISTEN" && transition.new == "SYN_RECV" && transition.tuple.rport == 0 {
            let next = (index + 1..all.len()).find(|next| {
                let next = (&all[*next], used[*next]);
                next.0.old == "SYN_RECV" && next.0.tuple.lport == transition.tuple.lport && !next.1
            });
            if let Some(next) = next {
                used[next] = true;
                transition.tuple = all[next].tuple;
            }
        }
    }
    complete
}

/// A line of `trace`, when it is a transition of a TCP socket to another state.
fn parse(line: &str) -> Option<Transition> {
    let (head, event) = line.rsplit_once(": inet_sock_set_state: ")?;
    let field = |name: &str| {
        event.split(' ').find_map(|field| field.strip_prefix(name)?.strip_prefix('=')).expect("a known field")
    };
    if field("protocol") != "IPPROTO_TCP" || field("oldstate") == field("newstate") {
        return None;
    }
    let (seconds, micros) = head.rsplit(' ').next()?.split_once('.').expect("a time");
    let number = |text: &str| text.parse::<u64>().expect("a number");
    let v6 = field("family") == "AF_INET6";
    let address = |v4: &str, name6: &str| {
        let text = if v6 { field(name6) } else { field(v4) };
        text.parse::<IpAddr>().expect("an address")
    };
    let port = |name: &str| field(name).parse().expect("a port");
    let tuple = Tuple {
        laddr: address("saddr", "saddrv6"),
        lport: port("sport"),
        raddr: address("daddr", "daddrv6"),
        rport: port("dport"),
    };
    let state = |name: &str| field(name).trim_start_matches("TCP_").to_owned();
    Some(Transition {
        ktime_ns: number(seconds) * 1_000_000_000 + number(micros) * 1_000,
        tuple: tuple.canonical(),
        old: state("oldstate"),
        new: state("newstate"),
        json: serde_json::Value::Null,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "  a: b c-77    [001] b..2.  2701.744205: inet_sock_set_state: family=AF_INET6 \
        protocol=IPPROTO_TCP sport=0 dport=9999 saddr=127.0.0.1 daddr=127.0.0.1 saddrv6=::ffff:127.0.0.1 \
        daddrv6=::ffff:127.0.0.1 oldstate=TCP_CLOSE newstate=TCP_SYN_SENT";

    #[test]
    fn a_line_is_understood() {
        let transition = parse(LINE).expect("a transition");
        assert_eq!(transition.ktime_ns, 2_701_744_205_000);
        assert_eq!(transition.to_string(), "2701.744205 127.0.0.1 0 > 127.0.0.1 9999: CLOSE -> SYN_SENT");
    }

    #[test]
    fn a_child_has_the_ends_that_it_shows_next() {
        let child = |old: &str, new: &str, rport: u16| {
            let states = format!("oldstate=TCP_{old} newstate=TCP_{new}");
            let line = LINE.replace("oldstate=TCP_CLOSE newstate=TCP_SYN_SENT", &states);
            parse(&line.replace("dport=9999", &format!("dport={rport}"))).expect("a transition")
        };
        let log = [child("LISTEN", "SYN_RECV", 0), child("LISTEN", "SYN_RECV", 0)];
        let next = [child("SYN_RECV", "ESTABLISHED", 7), child("SYN_RECV", "ESTABLISHED", 8)];
        let ports = |log: &[Transition]| log.iter().map(|event| event.tuple.rport).collect::<Vec<_>>();
        let whole = [log.as_slice(), &next].concat();
        assert_eq!(ports(&with_peers(&whole)), [7, 8, 7, 8]);
        assert_eq!(ports(&with_peers(&log)), [0, 0]);
    }

    #[test]
    fn other_protocols_and_no_change_are_left_out() {
        assert!(parse(&LINE.replace("IPPROTO_TCP", "IPPROTO_MPTCP")).is_none());
        assert!(parse(&LINE.replace("TCP_CLOSE", "TCP_SYN_SENT")).is_none());
        assert!(parse("# tracer: nop").is_none());
    }
}
