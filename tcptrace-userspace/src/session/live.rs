//! A live trace: everything is put together here, and taken apart at the end.

use std::{io, time::Duration};

use tcptrace_core::{
    model::{
        clock::Clock,
        header::{Before, Header, Hidden},
    },
    output::Format,
    pipeline::{Core, ResolverCache},
};
use tokio::sync::Notify;

use super::{
    Destination, Error, Settings,
    announce::announce_processes,
    devices::DeviceNames,
    dump_schedule::DumpSchedule,
    entrance::Entrance,
    event_loop::{self, Asked, End},
    identities::{Extent, Identities},
    log::Log,
    namespaces::Namespaces,
    overload::Overload,
    polls::Polls,
    reader::{Finished, HostQueries, Reader},
    resolver::Live,
    scan_schedule::ScanSchedule,
    scanner::ScannerThread,
    watch::Watch,
    writer::Writer,
};
use crate::{
    bpf::{self, Feature},
    sys::{self, clock::monotonic_ns, host, priority, signals::Ending},
};

/// How long an output that takes nothing may hold up the end.
const GRACE: Duration = Duration::from_secs(2);

/// A trace from beginning to end.
pub(super) fn session(
    settings: &Settings,
    destination: impl FnOnce(&Header) -> Destination,
    begun: impl FnOnce(&bpf::Tracer, &Header),
    stop: &Notify,
) -> Result<(End, Finished), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Setup)?;
    // From here on, signals end the trace with its account, also one that comes while it begins.
    let signals = runtime.block_on(async { Ending::install() }).map_err(Error::Setup)?;
    let clock = sys::clock::calibrate();
    // People's short format has no room for more than names, findings have.
    let extent = if settings.format != Format::Text || settings.detect.is_some() || settings.record.is_some()
    {
        Extent::All
    } else {
        Extent::Names
    };
    // Events' process ids are others' where `/proc` has its own.
    let mut identities = (!host::has_own_pids()).then(|| Identities::new(extent));
    let newcomers = identities.is_some() && extent == Extent::All && !settings.bpf.count_only;
    let mut tracer = bpf::load(&bpf::Options { newcomers, ..settings.bpf.clone() })?;
    if newcomers && let (Some(identities), Some(arrivals)) = (&mut identities, tracer.take_arrivals()) {
        identities.watch(Watch::start(arrivals).map_err(Error::Setup)?);
    }
    let header = header(settings, &tracer, clock, monotonic_ns());
    let log = Log::start(settings.record.as_ref(), &header)?;
    let Destination { sink, output, header: is_headed, ends_with_reader } = destination(&header);
    let writer = Writer::start(output).map_err(Error::Setup)?;
    let follows = settings.half_open.is_some();
    let live = Live { identities, devices: DeviceNames::new(header.own_netns) };
    let namespaces = follows.then(|| Namespaces::scan(settings.netns.clone()));
    announce_processes();
    begun(&tracer, &header);

    let mut core =
        Core::of(&settings.pipeline(), &header, ResolverCache::live(Box::new(live), log.is_on()), None, sink);
    if is_headed {
        core.out().header();
    }
    let queries = queries(settings, &tracer, namespaces).map_err(Error::Setup)?;
    let overload = Overload::new(settings.max_rate);
    let mut reader = Reader::new(tracer, Entrance { core, log }, writer, queries, overload);
    // Now that all threads run which go on beside it, and would inherit it.
    let _first = priority::raise();
    let asked = Asked { signals, duration: settings.duration, ends_with_reader, stop };
    let end = runtime.block_on(event_loop::run(&mut reader, asked))?;
    Ok((end, reader.finish(header.start_ns, GRACE)?))
}

/// What is asked of the host while the trace goes on.
fn queries(
    settings: &Settings,
    tracer: &bpf::Tracer,
    namespaces: Option<Namespaces>,
) -> io::Result<HostQueries> {
    let counts_only = settings.bpf.count_only;
    let dumps = settings.snapshot && !counts_only;
    let polls = (namespaces.is_some() && !counts_only).then(|| Polls::new(tracer));
    let is_asked = dumps || settings.scans.is_some() || namespaces.is_some();
    let scanner = is_asked.then(|| ScannerThread::start(settings.bpf.wanted(), settings.netns.clone()));
    let mut scanner = scanner.transpose()?;
    let dumps = scanner.as_mut().filter(|_| dumps).map(DumpSchedule::start);
    let scans =
        scanner.as_mut().zip(settings.scans).map(|(scanner, period)| ScanSchedule::start(period, scanner));
    if let Some(scanner) = &mut scanner {
        scanner.send();
    }
    Ok(HostQueries { scanner, namespaces, dumps, polls, scans })
}

/// What there is to know of a trace before its first record.
fn header(settings: &Settings, tracer: &bpf::Tracer, clock: Clock, start_ns: u64) -> Header {
    let features = tracer.features();
    Header {
        tool: concat!("tcptrace ", env!("CARGO_PKG_VERSION")).to_owned(),
        host: host::name(),
        kernel: host::kernel(),
        little_endian: cfg!(target_endian = "little"),
        clock,
        start_ns,
        hook: tracer.hook(),
        half_open: tracer.half_open().cloned(),
        polled: settings.half_open.is_some(),
        cookies: features.has(Feature::CookieHelper) || features.has(Feature::CookieField),
        retransmits: features.has(Feature::Retransmits),
        reset_reasons: tracer.reset_reasons().clone(),
        hidden: Hidden::by(&settings.bpf.wanted()),
        netns: settings.bpf.filter.netns,
        tgid: settings.bpf.filter.tgid,
        before: Before::default(),
        own_netns: host::own_netns(),
        own_pids: host::has_own_pids(),
        resets: features.has(Feature::Resets),
        filters: settings.filters.clone(),
    }
}
