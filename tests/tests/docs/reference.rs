//! Real output of each command whose output the documents show, in the documented situations.

use std::{
    process::{Command, Stdio},
    sync::mpsc::{RecvTimeoutError, channel},
    thread::{self, sleep},
    time::Duration,
};

use nix::sys::signal::Signal;
use serde_json::Value;
use socket2::Socket;
use tcptrace_tests::{
    actor,
    fixture::{Fixture, Ports},
    load,
    machine::{Hook, helper, tcptrace},
    net::{Family, begin_connect, connect, connect_error, listen, pair, read_end, socket},
    netns::Namespace,
    process::{Running, output},
    steps,
    tracer::{Report, Tracer},
};

/// The text of a loss. A loss cannot be caused at will, since the kernel side sends all records that fit. So this text
/// comes from the snapshots of the output tests.
const LOSS: &str = include_str!("../../../tcptrace-core/tests/suite/snapshots/suite__sinks__text.snap");

/// The output of the commands.
pub(crate) struct Reference {
    /// `tcptrace`, without options.
    pub(crate) trace: Report,
    pub(crate) life: Report,
    pub(crate) life_wide: Report,
    pub(crate) half_open: Report,
    /// A trace with more records than its limit allows, and than the ring takes.
    pub(crate) overload: Report,
    pub(crate) sockets: String,
    pub(crate) by_process: String,
    pub(crate) diagnose: String,
    pub(crate) doctor: String,
    /// The JSON line of a refused connection.
    pub(crate) json: Value,
}

impl Reference {
    /// Runs all commands.
    pub(crate) fn make() -> Self {
        // The fixture holds the host for all of them.
        let world = Fixture::new();
        thread::scope(|scope| {
            let overload = scope.spawn(overload);
            let sockets = scope.spawn(sockets);
            let diagnose = scope.spawn(diagnose);
            let doctor = scope.spawn(|| all_of(Command::new(tcptrace()).args(["doctor", "--measure"])));
            let (trace, life, life_wide, half_open, json) = traces(&world);
            let (sockets, by_process) = sockets.join().expect("sockets");
            Self {
                trace,
                life,
                life_wide,
                half_open,
                overload: overload.join().expect("an overload"),
                sockets,
                by_process,
                diagnose: diagnose.join().expect("a diagnosis"),
                doctor: doctor.join().expect("a doctor"),
                json,
            }
        })
    }

    /// Every line of every output.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &str> {
        let reports = [&self.trace, &self.life, &self.half_open, &self.overload];
        let reports = reports.into_iter().flat_map(|report| [&report.stdout, &report.stderr]);
        let texts = [&self.sockets, &self.by_process, &self.diagnose, &self.doctor];
        reports.chain(texts).flat_map(|text| text.lines()).chain(LOSS.lines())
    }
}

/// Standard output and standard error.
fn all_of(command: &mut Command) -> String {
    let output = output(command);
    [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("UTF-8")).concat()
}

fn traces(world: &Fixture) -> (Report, Report, Report, Report, Value) {
    let netns = world.namespace.path().to_owned();
    let start = |options: &[&str]| Tracer::start(Hook::TpBtf, &[&["--netns", &netns], options].concat());
    let life = |options: &[&str]| Tracer::start_life(Hook::TpBtf, &[&["--netns", &netns], options].concat());
    let tracers = [start(&[]), life(&[]), life(&["-w"]), start(&["--half-open"]), start(&["-o", "json"])];
    let ports = world.ports();
    world.namespace.run(move || every_kind(ports));
    world.settle(20);
    // The next check compares the counters of events that no hook shows.
    sleep(Duration::from_millis(600));
    let [trace, life, life_wide, half_open, json] = tracers.map(Tracer::stop);
    let refused = json.of_type("transition").into_iter().find(|line| line["close"]["cause"] == "refused");
    (trace, life, life_wide, half_open, refused.expect("a refused connection"))
}

/// Makes connections that end in different ways, and one that the kernel drops for lack of capacity.
fn every_kind(ports: Ports) {
    drop(steps::served(ports, Family::V4));
    steps::linger_zero(ports, Family::V4);
    steps::unread_data(ports);
    connect_error(ports.connect(Family::V4));
    let listener = listen(ports.listen(Family::V4));
    listener.listen(0).expect("listen");
    let served = connect(ports.connect(Family::V4));
    let waiting = socket(ports.connect(Family::V4));
    begin_connect(&waiting, ports.connect(Family::V4));
    drop((served, waiting, listener));
}

fn overload() -> Report {
    let namespace = Namespace::usual();
    let netns = namespace.inode().to_string();
    let arguments = ["--netns", &netns, "--max-rate", "100", "--buffer", "4K"];
    let tracer = Tracer::start(Hook::TpBtf, &arguments);
    let burst = |connections| {
        load::make(Command::new(helper(env!("CARGO_BIN_EXE_load"))), &namespace, connections);
    };
    tracer.signal(Signal::SIGSTOP);
    burst(200);
    tracer.signal(Signal::SIGCONT);
    for _ in 0..8 {
        burst(50);
        sleep(Duration::from_millis(100));
    }
    // The wait lasts until every record is shown again.
    sleep(Duration::from_secs(3));
    tracer.stop()
}

/// A server with a child, so that both hold its listener; and connections, some of them closed by the peer.
fn sockets() -> (String, String) {
    let namespace = Namespace::usual();
    let path = namespace.path().to_owned();
    namespace.run(move || {
        let address = Family::V4.listen(8_081).to_string();
        let mut command = Command::new(helper(env!("CARGO_BIN_EXE_actor")));
        command.args(["serve", "1", &address]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut server = Running::spawn(&mut command);
        actor::act(&mut server);
        let listener = listen(Family::V4.listen(8_080));
        let lasting = pair(&listener, Family::V4.connect(8_080));
        let (client, left) = pair(&listener, Family::V4.connect(8_080));
        drop(client);
        read_end(&left);
        let show = |options: &[&str]| {
            all_of(Command::new(tcptrace()).args(["sockets", "--netns", &path]).args(options))
        };
        let shown = (show(&[]), show(&["--by", "process"]));
        drop((lasting, left, listener));
        shown
    })
}

/// A server that does not close connections which its clients have closed, with more and more of them.
fn diagnose() -> String {
    // The namespace has many ports; with few, their exhaustion would be a finding, too.
    let namespace = Namespace::usual();
    let address = Family::V4.listen(8_080);
    let folder = tempfile::tempdir().expect("a folder");
    let thresholds = folder.path().join("thresholds.toml");
    std::fs::write(&thresholds, "[close-wait-leak]\nage_s = 1\n").expect("a file");
    let mut command = Command::new(tcptrace());
    command.args(["diagnose", "--netns", namespace.path(), "--duration", "4s", "--config"]);
    command.arg(&thresholds);
    let (diagnosed, is_diagnosed) = channel::<()>();
    let leaking = namespace.begin(move || {
        let listener = listen(address);
        let leak = || {
            let (client, server) = pair(&listener, address);
            steps::exchange(&client, &server);
            drop(client);
            server
        };
        let mut left: Vec<Socket> = (0..10).map(|_| leak()).collect();
        sleep(Duration::from_secs(1));
        while is_diagnosed.recv_timeout(Duration::from_millis(200)) == Err(RecvTimeoutError::Timeout) {
            left.push(leak());
        }
        drop((left, listener));
    });
    // Some connections exist at the first scan.
    sleep(Duration::from_millis(500));
    let diagnosis = all_of(&mut command);
    drop(diagnosed);
    leaking.wait();
    diagnosis
}
