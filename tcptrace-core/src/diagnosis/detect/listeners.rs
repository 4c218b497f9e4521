//! `unexpected-listener`: a program listens on a port where no listener is expected.

use std::{
    collections::{BTreeMap, HashSet},
    ops::RangeInclusive,
    sync::Arc,
};

use super::{Detector, Options, Sample, culprits::add_owners};
use crate::model::{
    finding::{Confidence, Finding, Harm, Severity},
    flow::LocalEnd,
    state::State,
    text::{Escaped, until_nul},
    who::Who,
};

const ID: &str = "unexpected-listener";

/// Bytes that the kernel keeps of a program's name (`TASK_COMM_LEN`, with a NUL after them).
const COMM_LEN: usize = 15;

/// Listeners that are expected: on these ports, of any program or of one program only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The name of the program; only its first 15 bytes count; `None` for any program.
    pub comm: Option<String>,
    /// The ports, without 0.
    pub ports: RangeInclusive<u16>,
}

pub(super) struct Listeners {
    expected: Option<Vec<Expected>>,
    /// The listeners of the first scan.
    first: Option<HashSet<LocalEnd>>,
    /// The listeners of the scan before the last. A listener that comes and goes between two scans is not reported.
    before: HashSet<LocalEnd>,
    /// The listeners of the last scan: for each socket there, the processes that have it open.
    last: BTreeMap<LocalEnd, Vec<Arc<[Who]>>>,
}

impl Listeners {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            expected: options.expected.clone(),
            first: None,
            before: HashSet::new(),
            last: BTreeMap::new(),
        }
    }

    /// Whether a listener of these processes is expected there.
    fn is_expected(&self, end: &LocalEnd, owners: &[Who]) -> bool {
        let fits = |expected: &Expected| {
            let by = |comm: &String| {
                let kept = &comm.as_bytes()[..comm.len().min(COMM_LEN)];
                owners.iter().any(|who| until_nul(&who.comm) == kept)
            };
            expected.ports.contains(&end.end.port) && expected.comm.as_ref().is_none_or(by)
        };
        self.expected.as_ref().is_some_and(|all| all.iter().any(fits))
    }

    /// The owners of sockets that are not expected there; `None` when all are expected. Beside an expected socket, one
    /// without a known process does not count: it may have begun during the scan.
    fn unexpected(&self, end: &LocalEnd, sockets: &[Arc<[Who]>]) -> Option<Vec<Who>> {
        let mut owners = Vec::new();
        let mut count = 0;
        for socket in sockets.iter().filter(|socket| !self.is_expected(end, socket)) {
            add_owners(&mut owners, socket);
            count += 1;
        }
        (count == sockets.len() || !owners.is_empty()).then_some(owners)
    }

    fn finding(&self, end: &LocalEnd, sockets: &[Arc<[Who]>]) -> Option<Finding> {
        let owners = self.unexpected(end, sockets)?;
        let appeared = self.first.as_ref().is_some_and(|first| !first.contains(end));
        let deleted =
            owners.iter().any(|who| who.process.as_ref().is_some_and(|process| process.exe_deleted));
        let snapshot_gaps = self.expected.is_some();
        if appeared && !self.before.contains(end) {
            return None;
        }
        if !(snapshot_gaps || deleted || appeared) {
            return None;
        }
        let address = end.end;
        let program = owners.first().map_or_else(|| "somebody".to_owned(), ToString::to_string);
        let mut why = Vec::new();
        why.extend(snapshot_gaps.then_some("is not expected"));
        why.extend(appeared.then_some("has begun during the watch"));
        why.extend(deleted.then_some("runs a program whose file is gone"));
        let summary = format!("{program} listens on {address}, and {}", why.join(", "));
        let confidence = if snapshot_gaps {
            Confidence::HIGH
        } else {
            Confidence::medium("--expect-listen, with the ports that should be")
        };
        let mut finding = Finding::new(ID, confidence, summary)
            .about_in(end.netns, address)
            .because("there when the watch began", !appeared);
        if snapshot_gaps {
            finding = finding.because("expected by --expect-listen", false);
            // A user who names the expected listeners takes any other for a harm.
            finding =
                finding.harms(Severity::Warning, Harm::new(1, "ports open that should not be", "this host"));
        }
        for who in &owners {
            if let Some(process) = &who.process {
                let exe =
                    process.exe.as_deref().map_or_else(|| "-".to_owned(), |exe| Escaped(exe).to_string());
                let gone = if process.exe_deleted { " (deleted)" } else { "" };
                finding =
                    finding.because("program", format!("{exe}{gone}")).because("its user id", process.uid);
            }
        }
        let finding = finding
            .then("See it", Some(format!("ss -tlnp sport = :{}", address.port)))
            .then(
                "Find out where it comes from",
                owners.first().map(|who| {
                    format!("ls -l /proc/{0}/exe /proc/{0}/cwd; ps -o pid,ppid,user,lstart,args {0}", who.pid)
                }),
            )
            .not("a listener that comes and goes between two scans")
            .not("an update, after which the file of a program that still runs is gone as well");
        Some(Finding { owners, ..finding })
    }
}

impl Detector for Listeners {
    fn sample(&mut self, sample: &Sample) {
        self.before = self.last.keys().copied().collect();
        let listening = sample.sockets.iter().filter(|seen| seen.socket.state == State::LISTEN);
        self.last.clear();
        for seen in listening {
            self.last.entry(seen.local_end()).or_default().push(seen.owners.clone());
        }
        if self.first.is_none() {
            self.first = Some(self.last.keys().copied().collect());
        }
    }

    fn findings(&self) -> Vec<Finding> {
        self.last.iter().filter_map(|(end, sockets)| self.finding(end, sockets)).collect()
    }
}
