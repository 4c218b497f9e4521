//! The end of a trace's road where detectors are: they take its records, and are asked after each look at the host.

use std::{cell::RefCell, io, rc::Rc};

use crate::{
    diagnosis::{
        detect::{Detectors, Finding, Options},
        report::Looks,
    },
    model::transition::Transition,
    output::Sink,
    record::Record,
};

/// The detectors, and what they have been shown of the host.
pub(super) struct Watched {
    pub(super) detectors: Detectors,
    pub(super) looks: Looks,
}

impl Watched {
    pub(super) fn new(options: Options) -> Self {
        Self { detectors: Detectors::new(options), looks: Looks::default() }
    }

    /// Takes a record; whether it was a look.
    pub(super) fn note(&mut self, record: &Record) -> bool {
        self.detectors.record(record);
        match record {
            Record::Sample(sample) => self.looks.looked(sample.unseen.as_deref()),
            Record::Unsampled(why) => self.looks.failed(why),
            _ => return false,
        }
        true
    }

    /// Takes a record; what was found by now, if it was a look.
    pub(super) fn take(&mut self, record: &Record) -> Option<Vec<Finding>> {
        self.note(record).then(|| self.detectors.findings())
    }
}

/// Both in the trace and outside of it, where the report is made.
#[derive(Clone)]
pub(super) struct Shared(Rc<RefCell<Watched>>);

impl Shared {
    pub(super) fn new(options: Options) -> Self {
        Self(Rc::new(RefCell::new(Watched::new(options))))
    }

    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Watched) -> T) -> T {
        work(&mut self.0.borrow_mut())
    }
}

/// The sink. `looked` is called after each look with what was found by then.
pub(super) struct Watch<F> {
    pub(super) shared: Shared,
    pub(super) looked: F,
}

impl<F: FnMut(&[Finding])> Sink for Watch<F> {
    fn header(&mut self, _out: &mut Vec<u8>) -> io::Result<()> {
        Ok(())
    }

    fn transition(&mut self, transition: &Transition, _out: &mut Vec<u8>) -> io::Result<()> {
        self.shared.with(|watched| watched.detectors.transition(transition));
        Ok(())
    }

    fn write(&mut self, record: &Record, _out: &mut Vec<u8>) -> io::Result<()> {
        if let Some(findings) = self.shared.with(|watched| watched.take(record)) {
            (self.looked)(&findings);
        }
        Ok(())
    }
}
