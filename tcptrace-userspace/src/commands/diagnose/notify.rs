//! Who is notified of findings while a watch goes on.

use std::{
    io,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use tcptrace_core::{
    model::{
        finding::{Finding, Severity},
        record::{Found, Phase, Record},
        transition::Transition,
    },
    pipeline::Sink,
};
use tokio::sync::Notify;

/// Moments of findings that may wait. The report has all of them, whatever finds no room here.
const QUEUE: usize = 1_024;

/// How often somebody is notified where nothing happens: a progress line goes on.
const EVERY: Duration = Duration::from_secs(1);

/// The end of a trace's road: it hands findings to a thread, and ends the watch with the first that is severe enough.
pub(super) struct Notifier {
    queue: SyncSender<Found>,
    stop: Rc<Notify>,
    end_on: Option<Severity>,
    begun: Arc<AtomicBool>,
}

impl Notifier {
    /// `notified` is called on a thread of its own, with all findings that are open: the ring is read meanwhile, whatever it
    /// does. `stop` ends the trace by the first finding of `end_on` or more severity. The thread ends with this.
    ///
    /// # Errors
    /// There can be no thread.
    pub(super) fn start(
        mut notified: impl FnMut(&[Finding]) + Send + 'static,
        stop: Rc<Notify>,
        end_on: Option<Severity>,
    ) -> io::Result<(Self, JoinHandle<()>)> {
        let (queue, moments) = sync_channel(QUEUE);
        let begun = Arc::new(AtomicBool::new(false));
        let has_begun = Arc::clone(&begun);
        let notify = move || notify_on(&moments, &has_begun, &mut notified);
        let thread = thread::Builder::new().name("findings".to_owned()).spawn(notify)?;
        Ok((Self { queue, stop, end_on, begun }, thread))
    }

    /// Set it once the watch has begun: before that, nobody is notified.
    pub(super) fn begun(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.begun)
    }
}

fn notify_on(moments: &Receiver<Found>, has_begun: &AtomicBool, notified: &mut dyn FnMut(&[Finding])) {
    let mut open: Vec<Finding> = Vec::new();
    loop {
        match moments.recv_timeout(EVERY) {
            Ok(found) => note(&mut open, found),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        // One scan may show several.
        for found in moments.try_iter() {
            note(&mut open, found);
        }
        if has_begun.load(Ordering::Relaxed) {
            notified(&open);
        }
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

impl Sink for Notifier {
    fn header(&mut self, _out: &mut Vec<u8>) -> io::Result<()> {
        Ok(())
    }

    fn transition(&mut self, _transition: &Transition, _out: &mut Vec<u8>) -> io::Result<()> {
        Ok(())
    }

    fn write(&mut self, record: &Record, _out: &mut Vec<u8>) -> io::Result<()> {
        if let Record::Finding(found) = record {
            if found.phase != Phase::Ended && self.end_on.is_some_and(|least| found.finding.severity >= least)
            {
                self.stop.notify_one();
            }
            let _ = self.queue.try_send(found.as_ref().clone());
        }
        Ok(())
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
