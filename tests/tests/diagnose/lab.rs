//! A namespace with a fault, or without, that a diagnosis watches.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::PathBuf,
    process::{Command, Stdio},
    sync::mpsc::channel,
    time::Duration,
};

use serde_json::Value;
use tcptrace_tests::{
    host,
    machine::{is_root, tcptrace},
    netns::Namespace,
    process::{Running, output},
    slot::Slot,
};

use crate::scenario;

/// The time that a watch may take to end after its duration.
const LIMIT: Duration = Duration::from_secs(20);

/// Thresholds for ages are a second, so that a watch can be short.
const SOON: &str = "
[close-wait-leak]
age_s = 1
[stuck]
age_s = 1
fin_wait2_s = 1
[nobody-accepts]
age_s = 3
[stalled]
age_s = 3
[phantom-established]
idle_s = 1
unanswered_s = 1
returns = 2
";

/// A namespace, and its ports, which no other test uses.
pub(crate) struct Lab {
    name: String,
    pub(crate) namespace: Namespace,
    pub(crate) slot: Slot,
    _host: host::Guard,
}

/// The result of a watch.
#[derive(Debug)]
pub(crate) struct Diagnosis {
    pub(crate) code: Option<i32>,
    pub(crate) json: Value,
    pub(crate) stderr: String,
}

/// The directory for scenarios, if they are to be saved: `cargo xtask lab NAME --record DIRECTORY`.
const SCENARIOS: &str = "TCPTRACE_LAB_SCENARIOS";

impl Lab {
    /// `None` if it cannot run here.
    pub(crate) fn new(name: &str) -> Option<Self> {
        if !is_root(name) {
            return None;
        }
        let host = host::share();
        let slot = Slot::take();
        let namespace = Namespace::new(&slot.ephemeral());
        Some(Self { name: name.to_owned(), namespace, slot, _host: host })
    }

    /// A watch of the namespace with these arguments.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(tcptrace());
        command.args(["diagnose", "--netns", self.namespace.path()]).args(arguments);
        command
    }

    /// Watches for `seconds` while `act` runs in the namespace. The result of `act` stays there until the end. The
    /// first scan comes before `act`.
    pub(crate) fn watch<T: Send + 'static>(
        &self,
        seconds: u64,
        arguments: &[&str],
        act: impl FnOnce() -> T + Send + 'static,
    ) -> Diagnosis {
        let directory = tempfile::TempDir::new().expect("a directory");
        let config = directory.path().join("thresholds.toml");
        std::fs::write(&config, SOON).expect("a file");
        let config = config.to_str().expect("UTF-8");
        let time = seconds.to_string();
        let scenarios = std::env::var_os(SCENARIOS).map(PathBuf::from);
        let capture = match &scenarios {
            None => directory.path().join("capture"),
            Some(scenarios) => scenarios.join(self.name.replace("::", "-")).with_extension("capture"),
        };
        let to = ["--write", capture.to_str().expect("UTF-8"), "--anonymize"];
        // A saved scenario is public, so it must not identify the host that it was made on.
        let record = &to[..if scenarios.is_some() { 3 } else { 2 }];
        let report = ["-o", "json", "--config", config];
        let all = [&report, &["--duration", &time][..], record, arguments].concat();
        let shown = std::env::var_os("TCPTRACE_LAB").map(|_| {
            // The same diagnosis in text, for the person who runs `cargo xtask lab`.
            let arguments = [&["--duration", &time, "--config", config], arguments].concat();
            Running::spawn(self.command(&arguments).stdin(Stdio::null()))
        });
        let mut command = self.command(&all);
        let mut running =
            Running::spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()));
        let mut stderr = BufReader::new(running.child().stderr.take().expect("a pipe"));
        let mut said = String::new();
        stderr.read_line(&mut said).expect("text");
        assert!(said.starts_with("Watching"), "{said}");
        // `act` runs between the first scan and the second.
        std::thread::sleep(Duration::from_millis(300));
        let held = self.namespace.hold(act);
        let (sender, receiver) = channel();
        let mut stdout = running.child().stdout.take().expect("a pipe");
        std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stdout.read_to_string(&mut text);
            let _ = stderr.read_to_string(&mut said);
            let _ = sender.send((text, said));
        });
        let code = running.wait(Duration::from_secs(seconds) + LIMIT).code();
        let (stdout, stderr) = receiver.recv_timeout(LIMIT).expect("its output ends with it");
        if let Some(mut shown) = shown {
            shown.wait(LIMIT);
        }
        drop(held);
        // These options apply to a live watch only.
        let is_live = ["--until-finding", "--on-finding"];
        let rest = arguments.split(|argument| is_live.contains(argument)).next().unwrap_or_default();
        let again = self.command(&[&report, &["--from", to[1]][..], rest].concat());
        if scenarios.is_some() {
            scenario::save(&capture, again, SOON, arguments);
        } else {
            assert_replays(again, code, &stdout);
        }
        let json = serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}"));
        assert_follows_schema(&json);
        Diagnosis { code, json, stderr }
    }
}

impl Diagnosis {
    /// The findings of a kind.
    pub(crate) fn all(&self, id: &str) -> Vec<&Value> {
        let findings = self.json["findings"].as_array().expect("findings");
        findings.iter().filter(|finding| finding["id"] == id).collect()
    }

    /// The only finding of a kind. Asserts the exit code for it.
    pub(crate) fn one(&self, id: &str) -> &Value {
        let [finding] = self.all(id)[..] else { panic!("one {id}: {:#}", self.json) };
        assert_eq!((self.code, &self.json["verdict"]), (Some(3), &"findings".into()), "{:#}", self.json);
        assert_eq!(finding["doc"], format!("docs/findings/{id}.md"));
        assert!(!finding["next_steps"].as_array().expect("steps").is_empty(), "{finding:#}");
        finding
    }

    /// Asserts that there is no finding, and that everything was seen.
    pub(crate) fn assert_healthy(&self) {
        assert_eq!((self.code, &self.json["verdict"]), (Some(0), &"healthy".into()), "{:#}", self.json);
        let findings = self.json["findings"].as_array().expect("findings");
        assert!(findings.iter().all(|finding| finding["severity"] == "info"), "{:#}", self.json);
    }
}

/// Asserts that a replay of the capture prints the same bytes as the watch.
fn assert_replays(mut command: Command, code: Option<i32>, stdout: &str) {
    let again = output(&mut command);
    let said = String::from_utf8_lossy(&again.stderr);
    assert_eq!(String::from_utf8_lossy(&again.stdout), stdout, "{said}");
    assert_eq!(again.status.code(), code, "{said}");
}

/// Asserts that a report follows `docs/diagnose.schema.json`.
fn assert_follows_schema(json: &Value) {
    let schema: Value =
        serde_json::from_str(include_str!("../../../docs/diagnose.schema.json")).expect("the schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("a JSON Schema");
    let errors: Vec<String> = validator.iter_errors(json).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?} in {json:#}");
}

/// A number of a finding's evidence.
pub(crate) fn evidence(finding: &Value, name: &str) -> u64 {
    let all = finding["evidence"].as_array().expect("evidence");
    let one =
        all.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("no {name} in {finding:#}"));
    one["value"].as_u64().unwrap_or_else(|| panic!("{one} is no count"))
}

/// Asserts that this process is named as responsible.
pub(crate) fn assert_owned_here(finding: &Value) {
    let owners = finding["owners"].as_array().expect("owners");
    assert!(owners.iter().any(|owner| owner["pid"] == std::process::id()), "{finding:#}");
}
