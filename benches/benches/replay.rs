//! The cost of each event in a replay, on one core: decoding, tracking, and all detectors. Each stage includes the ones
//! before it.
//! `cargo bench --package tcptrace-bench`; no root.

#![expect(missing_docs, reason = "criterion's macros make public functions")]

use std::{hint::black_box, time::Duration};

use criterion::{
    BenchmarkGroup, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
    measurement::WallTime,
};
use tcptrace_core::{
    diagnosis::detect::{self, Detectors},
    model::{
        event::{Event, Observed},
        transition::Transition,
    },
    pipeline::{
        decode::{decode, records},
        tracker::{Options, Tracker},
    },
};
use tcptrace_synthetic::{PER_LIFE, lives};

/// A hundred thousand events.
const CONNECTIONS: u32 = 10_000;

fn replay(criterion: &mut Criterion) {
    let entries = lives(CONNECTIONS, 1_000_000_000);
    let mut group = criterion.benchmark_group("replay");
    group.throughput(Throughput::Elements(u64::from(CONNECTIONS * PER_LIFE)));
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    // An iteration takes long enough to be a sample.
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    stages(&mut group, &entries);
    group.finish();
}

fn stages(group: &mut BenchmarkGroup<'_, WallTime>, entries: &[Vec<u8>]) {
    let events = || entries.iter().flat_map(|entry| records(entry)).filter_map(event);
    group.bench_function("decode", |bencher| bencher.iter(|| events().map(black_box).count()));
    group.bench_function("track", |bencher| {
        bencher.iter(|| {
            let mut tracker = tracker();
            events().for_each(|event| {
                tracker.track(&mut Transition::of(event), |transition| {
                    black_box(transition);
                });
            });
            tracker.len()
        });
    });
    group.bench_function("detect", |bencher| {
        bencher.iter(|| {
            let (mut tracker, mut detectors) = (tracker(), Detectors::new(detect::Options::default()));
            for event in events() {
                tracker.track(&mut Transition::of(event), |transition| detectors.transition(transition));
            }
            detectors.findings()
        });
    });
}

fn event(record: &[u8]) -> Option<Event> {
    match decode(record) {
        Ok(Observed::Transition(event)) => Some(event),
        _ => None,
    }
}

/// A tracker with the settings of `tcptrace diagnose`.
fn tracker() -> Tracker {
    Tracker::new(Options { limit: 262_144, infer: true, ..Options::default() })
}

criterion_group!(benches, replay);
criterion_main!(benches);
