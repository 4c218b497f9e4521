//! Notifications of findings while a diagnosis goes on.

use std::{
    thread::{self, JoinHandle},
    time::Duration,
};

use tcptrace_core::model::{
    finding::{Finding, Severity},
    record::{Found, Phase, Record},
};
use tokio::{runtime::Builder, time::timeout};

use crate::session::{Error, Handle, Records};

/// The interval of notifications while nothing happens, for a progress line.
const EVERY: Duration = Duration::from_secs(1);

/// Calls `notified` on a thread of its own, with all open findings: the ring is read meanwhile, whatever `notified`
/// does. The first finding of at least the severity `end_on` ends the session. The thread ends with the records.
///
/// # Errors
/// The thread cannot be started.
pub(super) fn start(
    records: Records,
    mut notified: impl FnMut(&[Finding]) + Send + 'static,
    session: Handle,
    end_on: Option<Severity>,
) -> Result<JoinHandle<()>, Error> {
    let runtime = Builder::new_current_thread().enable_time().build().map_err(Error::Setup)?;
    let notify = move || runtime.block_on(notify_on(records, &mut notified, &session, end_on));
    thread::Builder::new().name("findings".to_owned()).spawn(notify).map_err(Error::Setup)
}

async fn notify_on(
    mut records: Records,
    notified: &mut impl FnMut(&[Finding]),
    session: &Handle,
    end_on: Option<Severity>,
) {
    let mut open: Vec<Finding> = Vec::new();
    loop {
        let mut next = match timeout(EVERY, records.recv()).await {
            Ok(Some(record)) => Some(record),
            Ok(None) => return,
            Err(_) => None,
        };
        // One scan may have several findings.
        while let Some(record) = next {
            match record {
                Record::Finding(found) => {
                    let is_severe = end_on.is_some_and(|least| found.finding.severity >= least);
                    if found.phase != Phase::Ended && is_severe {
                        session.stop();
                    }
                    note(&mut open, *found);
                }
                // At the end, the report has all open findings.
                Record::Summary(_) => return,
                _ => {}
            }
            next = records.ready();
        }
        notified(&open);
    }
}

fn note(open: &mut Vec<Finding>, found: Found) {
    let Found { phase, finding, .. } = found;
    let key = finding.key();
    open.retain(|other| other.key() != key);
    if phase != Phase::Ended {
        open.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tcptrace_core::model::finding::Confidence;

    #[test]
    fn what_has_ended_is_open_no_more() {
        let mut open = Vec::new();
        let mut moment = |phase, subject: &str, summary: &str| {
            let finding = Finding::new("stalled", Confidence::HIGH, summary.to_owned()).about(subject);
            note(&mut open, Found { ktime_ns: 0, phase, finding });
            open.iter().map(|finding| finding.summary.clone()).collect::<Vec<_>>()
        };
        moment(Phase::Begun, "a", "first");
        assert_eq!(moment(Phase::Begun, "b", "other"), ["first", "other"]);
        assert_eq!(moment(Phase::Changed, "a", "worse"), ["other", "worse"]);
        assert_eq!(moment(Phase::Ended, "b", "other"), ["worse"]);
    }
}
