//! tcptrace in a namespace: `diagnose` with shipped thresholds, and `life` at the same time.

use std::{
    process::{Command, Stdio},
    sync::mpsc::Receiver,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{ended::Ended, place::Place};
use crate::{
    init::DuringInit,
    machine::tcptrace,
    netns::Namespace,
    process::{Running, collect, lines},
    tracer::Tracer,
};

/// The time that a watch may take to begin, and to end after its duration: several begin at once on few processors.
const LIMIT: Duration = Duration::from_mins(1);

/// A running watch.
#[derive(Debug)]
pub struct Watch {
    life: Tracer,
    during_init: DuringInit,
    diagnose: Running,
    report: Receiver<Vec<u8>>,
    said: Receiver<String>,
    began: Instant,
    seconds: u64,
}

/// The result of `tcptrace diagnose`.
#[derive(Debug)]
pub struct Diagnosis {
    /// The exit code.
    pub code: Option<i32>,
    /// The report.
    pub json: Value,
}

impl Watch {
    /// Watches the servers of a place for its time.
    pub fn servers(place: &Place) -> Self {
        Self::start(place, &place.servers, place.seconds)
    }

    /// Watches a namespace of a place for this many seconds.
    pub fn start(place: &Place, namespace: &Namespace, seconds: u64) -> Self {
        let name = format!("daemons-{}", place.slot.number());
        let during_init = DuringInit::start(&name, &["sock/inet_sock_set_state"]);
        let mut command = Command::new(tcptrace());
        let mut life = Tracer::spawn(command.args(["life", "-o", "json", "--netns", namespace.path()]));
        life.read();
        let mut command = Command::new(tcptrace());
        command.args(["diagnose", "-o", "json", "--netns", namespace.path()]);
        command.arg("--duration").arg(format!("{seconds}s"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut diagnose = Running::spawn(&mut command);
        let report = collect(diagnose.child().stdout.take().expect("a pipe"));
        let said = lines(diagnose.child().stderr.take().expect("a pipe"));
        let first = said.recv_timeout(LIMIT).expect("diagnose says that it watches");
        assert!(first.starts_with("Watching"), "{first}");
        Self { life, during_init, diagnose, report, said, began: Instant::now(), seconds }
    }

    /// Waits until this much of the watch has passed.
    pub fn wait(&self, time: Duration) {
        std::thread::sleep(time.saturating_sub(self.began.elapsed()));
    }

    /// Waits for the end of the diagnosis, and returns it.
    pub fn diagnosis(&mut self) -> Diagnosis {
        let code = self.diagnose.wait(Duration::from_secs(self.seconds) + LIMIT).code();
        let text = self.report.recv_timeout(LIMIT).expect("its output ends with it");
        let said: Vec<String> = self.said.iter().collect();
        let json = serde_json::from_slice(&text)
            .unwrap_or_else(|error| panic!("{error}: {}{said:?}", String::from_utf8_lossy(&text)));
        Diagnosis { code, json }
    }

    /// Ends `life`, and returns the connections that it has printed. Records may be missing only because the kernel
    /// runs no program inside itself.
    pub fn ended(self) -> Ended {
        self.life.catch_up();
        let report = self.life.stop();
        let account = report.summary();
        let code = if account.missed_runs == 0 { 0 } else { 4 };
        assert_eq!((report.code, account.lost, account.sampled_out), (Some(code), 0, 0), "{}", report.stderr);
        Ended::new(report.of_type("connection"), account.missed_runs + self.during_init.count())
    }
}

impl Diagnosis {
    /// The findings at warning or above.
    pub fn grave(&self) -> Vec<&Value> {
        let all = self.json["findings"].as_array().expect("findings");
        all.iter().filter(|finding| finding["severity"] != "info").collect()
    }

    /// The number of transitions that the kernel has hidden from the tracer, if that alone makes the watch incomplete.
    /// The kernel does not run a program inside itself; kernels of some vendors also run none in the time of process 1,
    /// see [`DuringInit`]. Both happen on busy processors at times, and are no fault of the watched processes.
    pub fn hidden(&self) -> Option<u64> {
        const FEW: u64 = 10;
        let coverage = &self.json["coverage"];
        let vanished =
            |text: &Value| text.as_str()?.strip_prefix("transitions of ")?.split(' ').next()?.parse().ok();
        let missing: Option<Vec<u64>> = coverage["gaps"].as_array()?.iter().map(vanished).collect();
        let hidden = coverage["lost"].as_u64()? + missing?.iter().sum::<u64>();
        (self.code == Some(4) && (1..=FEW).contains(&hidden)).then_some(hidden)
    }

    /// All findings, one in each line.
    pub fn shown(&self) -> String {
        let all = self.json["findings"].as_array().expect("findings");
        let one = |finding: &Value| {
            let text = |name: &str| finding[name].as_str().unwrap_or("-").to_owned();
            let owner = owner(finding).map_or("-".to_owned(), |(pid, comm)| format!("{comm}[{pid}]"));
            format!("{} {} ({owner}): {}\n", text("severity"), text("id"), text("summary"))
        };
        let found: String = all.iter().map(one).collect();
        let coverage =
            if self.code == Some(4) { format!(": {}", self.json["coverage"]) } else { String::new() };
        format!("exit {:?}, {}{coverage}\n{found}", self.code, self.json["verdict"])
    }
}

/// The process that a finding names first.
pub fn owner(finding: &Value) -> Option<(u64, &str)> {
    let first = finding["owners"].get(0)?;
    Some((first["pid"].as_u64()?, first["comm"].as_str().unwrap_or("-")))
}
