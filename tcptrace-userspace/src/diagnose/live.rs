//! `tcptrace trace --findings`: what the detectors find, told among the transitions.

use std::{
    collections::HashSet,
    io,
    sync::{Arc, Mutex, PoisonError, mpsc::channel},
    time::Duration,
};

use tokio::sync::Notify;

use super::{Error, Shared, sampler::Sampler};
use crate::{
    bpf,
    clock::monotonic_ns,
    detect::{self, Detectors, Finding},
    record::{Found, Record},
    sink::Sink,
    trace,
};

/// From one look at the host to the next.
const PERIOD: Duration = Duration::from_secs(5);

/// Hands what is written to the detectors, too.
struct Tee {
    detectors: Shared,
    sink: Box<dyn Sink>,
}

impl Sink for Tee {
    fn header(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        self.sink.header(out)
    }

    fn write(&mut self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
        self.detectors.lock().record(record);
        self.sink.write(record, out)
    }
}

/// Traces, and tells each finding once, when it first shows. Returns those as well that only the last look shows, when
/// the trace has ended.
///
/// # Errors
/// [`enum@Error`].
pub fn trace(
    settings: &trace::Settings,
    options: detect::Options,
) -> Result<(trace::Outcome, Vec<Finding>), Error> {
    let shared = Shared(Arc::new(Mutex::new(Detectors::new(options))));
    let sampler = Sampler::new(settings, PERIOD);
    let (sender, found) = channel();
    let told = Arc::new(Mutex::new(HashSet::new()));
    let is_new = |told: &Mutex<HashSet<String>>, finding: &Finding| {
        told.lock().unwrap_or_else(PoisonError::into_inner).insert(finding.key())
    };
    let theirs = Arc::clone(&told);
    let looked = move |findings: &[Finding]| {
        for finding in findings.iter().filter(|finding| is_new(&theirs, finding)) {
            // Once the trace has ended nobody listens.
            let _ = sender.send(Record::Finding(Box::new(Found {
                ktime_ns: monotonic_ns(),
                finding: finding.clone(),
            })));
        }
    };
    let mut running = None;
    let (detectors, last) = (shared.clone(), shared.clone());
    let begun =
        |_: &bpf::Tracer| running = Some(sampler.start(shared, Arc::new(Notify::new()), None, looked));
    let outcome = trace::run_beside(settings, |sink| Box::new(Tee { detectors, sink }), begun, found);
    // What the last look shows is told here.
    let before: HashSet<String> = told.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(running) = running.transpose().map_err(Error::Setup)? {
        running.finish();
    }
    let mut left = last.lock().findings();
    left.retain(|finding| !before.contains(&finding.key()));
    Ok((outcome?, left))
}
