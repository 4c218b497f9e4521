//! The kernel side's counters: one set for each CPU, 64 bits each. Their sum is reported, including the counts of CPUs
//! that are offline, and counts that exceed 32 bits.

use std::{fs, process::Command, thread::sleep, time::Duration};

use aya::maps::{Map, MapData, PerCpuArray, PerCpuValues, loaded_maps};
use tcptrace_tests::{
    both_hooks, host,
    load::{self, Made},
    machine::{Hook, helper, is_root, skip},
    netns::Namespace,
    tracer::Tracer,
};

both_hooks!(a_cpu_comes_and_goes, counts_beyond_32_bits);

const CONNECTIONS: u64 = 100;

/// The CPU that goes offline: most machines keep the first one.
const CPU: &str = "1";
/// The time within which records that wait on a CPU are fetched.
const FETCHED: Duration = Duration::from_millis(200);

/// Makes connections on one CPU.
fn load_on(cpu: &str, namespace: &Namespace) -> Made {
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", cpu]).arg(helper(env!("CARGO_BIN_EXE_load")));
    load::make(command, namespace, CONNECTIONS)
}

/// A CPU that is offline for a while.
struct Offline(String);

impl Offline {
    /// `None` if this machine has no second CPU, or cannot switch it off.
    fn take(cpu: &str) -> Option<Self> {
        let switch = format!("/sys/devices/system/cpu/cpu{cpu}/online");
        fs::write(&switch, "0").is_ok().then_some(Self(switch))
    }
}

impl Drop for Offline {
    fn drop(&mut self) {
        fs::write(&self.0, "1").expect("it comes back");
    }
}

fn a_cpu_comes_and_goes(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let _host = host::alone();
    let namespace = Namespace::usual();
    let netns = namespace.inode().to_string();
    let tracer = Tracer::start(hook, &["-o", "json", "--netns", &netns]);
    let mut made = load_on(CPU, &namespace);
    sleep(FETCHED);
    let Some(offline) = Offline::take(CPU) else {
        return skip(name, "needs a CPU that can be switched off (/sys/devices/system/cpu/cpu1/online)");
    };
    made += load_on("0", &namespace);
    sleep(FETCHED);
    drop(offline);
    made += load_on(CPU, &namespace);
    tracer.catch_up();
    let offline = Offline::take(CPU);
    let report = tracer.stop();
    drop(offline);
    made.assert_seen(report.assert_lossless().delivered, &report.stderr);
}

/// A CPU's counters as words: the matrix of 16 by 16, then the delivered records, then others.
type Words = [u64; 265];
const CLOSE_TO_SYN_SENT: usize = 7 * 16 + 2;
const DELIVERED: usize = 16 * 16;
/// A count so close to the overflow of 32 bits that the load exceeds it.
const NEARLY: u64 = (1 << 32) - 10;

/// Sets the counters as if each CPU had counted this many already: counting them would take hours.
fn counts_beyond_32_bits(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let _host = host::alone();
    let namespace = Namespace::usual();
    let netns = namespace.inode().to_string();
    let tracer = Tracer::start(hook, &["--quiet", "-o", "json", "--netns", &netns]);
    let cpus = add_to_all_cpus(NEARLY);
    let made = load_on("0", &namespace);
    let report = tracer.stop();
    let account = report.account();
    assert_eq!(report.code, Some(0), "{}", report.stderr);
    made.assert_seen(account.delivered - cpus * NEARLY, &report.stderr);
    let summary = report.of_type("summary").remove(0);
    assert_eq!(summary["delivered"], account.delivered, "{summary}");
    let cells = summary["matrix"].as_array().expect("a matrix");
    let begin = cells.iter().find(|cell| cell["old_state"] == "CLOSE" && cell["new_state"] == "SYN_SENT");
    let count = begin.expect("connections begin")["count"].as_u64().expect("a number");
    assert!((cpus * NEARLY + CONNECTIONS..account.seen).contains(&count), "{count} of {}", account.seen);
}

/// Adds this many connections to the counters of each CPU of the newest tracer, as transitions to SYN_SENT, and returns
/// the number of CPUs.
fn add_to_all_cpus(connections: u64) -> u64 {
    let maps = loaded_maps().filter_map(Result::ok);
    let newest = maps.filter(|map| map.name_as_str() == Some("COUNTERS")).map(|map| map.id()).max();
    let data = MapData::from_id(newest.expect("a tracer runs")).expect("its counters");
    let mut counters: PerCpuArray<MapData, Words> = Map::PerCpuArray(data).try_into().expect("a set a CPU");
    let mut cpus: Vec<Words> = counters.get(&0, 0).expect("they can be read").iter().copied().collect();
    for words in &mut cpus {
        words[CLOSE_TO_SYN_SENT] += connections;
        words[DELIVERED] += connections;
    }
    let count = cpus.len() as u64;
    counters
        .set(0, PerCpuValues::try_from(cpus).expect("as many as there are"), 0)
        .expect("they can be written");
    count
}
