//! The copy of a trace's inputs for the recorder, if the trace is recorded.

use tcptrace_core::{
    capture,
    model::{
        header::{Before, Header},
        input::{Checked, Counted, Ended, Input},
        socket_dump::Scope,
    },
    pipeline::ResolverCache,
};

use super::notice::Notices;
use crate::recording::{self, Capacity, Recorder};

/// A recorder, and the state of its file.
pub(super) struct Log {
    recording: Option<Recording>,
    /// The error that ended the recording.
    failed: Option<capture::Error>,
}

struct Recording {
    recorder: Recorder,
    header: Header,
    /// Records that had been taken at the last release that was recorded.
    taken: u64,
    /// The last release.
    released_ns: u64,
    /// The last counters that were recorded.
    counted: Counted,
    /// The current file has no dump of all sockets yet, though it is not the first one.
    lacks_dump: bool,
}

impl Log {
    /// Nothing is recorded without a `target`.
    ///
    /// # Errors
    /// The file cannot be made.
    pub(super) fn start(
        target: Option<&recording::Target>,
        header: &Header,
        notices: &Notices,
    ) -> Result<Self, capture::Error> {
        let recording = target.map(|target| {
            Ok(Recording {
                recorder: Recorder::start(target, header, notices.of_disk())?,
                header: header.clone(),
                taken: 0,
                released_ns: 0,
                counted: Counted::default(),
                lacks_dump: false,
            })
        });
        Ok(Self { recording: recording.transpose()?, failed: None })
    }

    /// Whether more can be recorded now.
    pub(super) fn has_room(&mut self) -> bool {
        self.recording.as_mut().is_none_or(|recording| recording.recorder.capacity() != Capacity::Full)
    }

    /// Records an input. [`Self::released`] records releases, once their records are taken. Counters are recorded only
    /// if they have changed.
    pub(super) fn put(&mut self, input: &Input<'_>) {
        let Some(recording) = &mut self.recording else { return };
        match input {
            Input::Released(until_ns) => recording.released_ns = *until_ns,
            Input::Clock(change) => {
                // The next file begins with this clock.
                recording.header.clock = change.clock;
                recording.recorder.put(input);
            }
            Input::Counted(counted) if recording.counted == **counted => {}
            Input::Counted(counted) => {
                recording.counted = counted.as_ref().clone();
                recording.recorder.put(input);
            }
            input => recording.recorder.put(input),
        }
    }

    /// Records the last release once all of its records have been taken, unless it has none. `taken`: records in all.
    pub(super) fn released(&mut self, taken: u64) {
        let Some(recording) = self.recording.as_mut().filter(|recording| recording.taken != taken) else {
            return;
        };
        recording.taken = taken;
        recording.recorder.put(&Input::Released(recording.released_ns));
    }

    /// Whether it is time for another file.
    pub(super) fn is_full(&self) -> bool {
        self.recording.as_ref().is_some_and(|recording| recording.recorder.is_full())
    }

    /// Goes on in another file, which must be readable without those before it. The current file has every record that
    /// was counted.
    pub(super) fn rotate(&mut self, counted: &Counted, checked: &Checked, answers: &mut ResolverCache) {
        let Some(recording) = &mut self.recording else { return };
        let ended = Ended {
            end_ns: checked.now_ns,
            counted: counted.clone(),
            submitted: Some(counted.counters.delivered),
            missed_runs: Some(checked.lost.missed_runs),
            missed_signals: checked.lost.others - counted.counters.signals_lost,
            half_open_missed: checked.half_open.1,
            ..Ended::default()
        };
        recording.recorder.put(&Input::Ended(Box::new(ended)));
        recording.header.start_ns = checked.now_ns;
        recording.header.before =
            Before { counted: counted.clone(), lost: checked.lost, half_open: checked.half_open };
        recording.recorder.rotate(&recording.header);
        for input in &answers.record_again() {
            recording.recorder.put(input);
        }
        recording.lacks_dump = true;
    }

    /// Whether a dump of this kind is the first one of its file.
    pub(super) fn begins_with(&mut self, scope: Scope) -> bool {
        let lacking = self.recording.as_mut().filter(|recording| recording.lacks_dump && scope == Scope::All);
        lacking.is_some_and(|recording| std::mem::take(&mut recording.lacks_dump))
    }

    /// Sends all inputs so far to the thread that writes them.
    pub(super) fn flush(&mut self) {
        if let Some(recording) = &mut self.recording {
            recording.recorder.flush();
        }
    }

    /// Whether the recorder still works, if there is one; [`Self::end`] returns why it does not.
    pub(super) fn check(&mut self) -> bool {
        if let Some(recording) =
            self.recording.take_if(|recording| recording.recorder.capacity() == Capacity::Gone)
        {
            self.failed = recording.recorder.finish().err();
        }
        self.failed.is_none()
    }

    /// Records the end, and waits until everything is written, as long as there is progress.
    ///
    /// # Errors
    /// A part of the capture could not be written.
    pub(super) fn end(&mut self, ended: &Ended) -> Result<(), capture::Error> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let Some(mut recording) = self.recording.take() else { return Ok(()) };
        recording.recorder.put(&Input::Ended(Box::new(ended.clone())));
        recording.recorder.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tcptrace_core::model::{clock::Clock, clock_watch::ClockChange};

    use super::*;

    #[test]
    fn the_next_file_begins_with_the_new_clock() {
        let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios/a_burst_of_clients.capture");
        let read = |path: &Path| capture::Reader::open(path).expect("a capture").header().clone();
        let header = read(Path::new(scenario));
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("capture");
        let target =
            recording::Target { path: path.clone(), max_bytes: Some(1 << 20), keep: 1, anonymize: false };
        let mut log = Log::start(Some(&target), &header, &Notices::new(drop)).expect("a recorder");
        let clock = Clock::with_offset(7);
        assert_ne!(header.clock, clock);
        let change = ClockChange { ktime_ns: 1, clock, by_ns: 1, suspended_ns: 0, is_step: true };
        log.put(&Input::Clock(change));
        let checked = Checked { now_ns: 2, ..Checked::default() };
        log.rotate(&Counted::default(), &checked, &mut ResolverCache::replayed());
        log.end(&Ended::default()).expect("it is written");
        assert_eq!(read(&path.with_extension("1")).clock, header.clock);
        assert_eq!((read(&path).clock, read(&path).start_ns), (clock, 2));
    }
}
