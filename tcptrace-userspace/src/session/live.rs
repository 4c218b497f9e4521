//! A live trace: everything is put together here, and taken apart at the end.

use std::{io, sync::Arc, thread, time::Duration};

use tcptrace_core::{
    model::{
        clock::Clock,
        clock_watch::ClockWatch,
        header::{Before, Header, Hidden},
    },
    pipeline::{Core, Extent, ResolverCache},
};

use super::{
    Error, HalfOpenBy, Outcome, Session, Settings,
    dump_schedule::DumpSchedule,
    entrance::Entrance,
    event_loop,
    handle::{self, Commands},
    log::Log,
    namespaces::Namespaces,
    notice::{Notice, Notices},
    overload::Overload,
    plan::{Output, Parts, SessionThread},
    polls::Polls,
    reader::{HostQueries, Reader},
    resolver::ResolverThread,
    scan_schedule::ScanSchedule,
    scanner::ScannerThread,
    watch::Watch,
    writer::Writer,
};
use crate::{
    bpf::{self, Feature},
    sys::{self, clock::monotonic_ns, host},
};

/// How long an output that takes nothing may hold up the end.
const GRACE: Duration = Duration::from_secs(2);

/// Attaches, and starts the thread that reads the ring.
pub(super) fn start(settings: &Settings, parts: Parts) -> Result<Session, Error> {
    let (handle, commands) = handle::handle(Arc::clone(&parts.is_stopping)).map_err(Error::Setup)?;
    let Parts { output, subscribers, notices, at_start, .. } = parts;
    let clock = ClockWatch::new(&sys::clock::read());
    // In a pid namespace of its own, `/proc` has other process ids than events.
    let extent = if host::has_own_pids() { Extent::Nobody } else { settings.identify };
    let counts_only = settings.bpf.count_only;
    let newcomers = extent == Extent::All && !counts_only;
    // Overrides the options of the kernel side: polls do not need its hooks.
    let half_open = settings.half_open == Some(HalfOpenBy::Events);
    let mut tracer = bpf::load(&bpf::Options { half_open, newcomers, ..settings.bpf.clone() })?;
    let arrivals = newcomers.then(|| tracer.take_arrivals()).flatten();
    let watch = arrivals.map(|arrivals| Watch::start(arrivals, Arc::clone(&at_start)));
    let watch = watch.transpose().map_err(Error::Setup)?;
    let header = header(settings, &tracer, clock.clock(), monotonic_ns());
    let log = Log::start(settings.record.as_ref(), &header, &notices)?;
    let (sink, output) = match output {
        Some(Output { format, to }) => (Some(format(&header)), to),
        None => (None, Output::nowhere()),
    };
    let writer = Writer::start(output, &notices).map_err(Error::Setup)?;
    let follows = settings.half_open.is_some();
    let namespaces = follows.then(|| Namespaces::scan(settings.netns.clone()));
    notify(settings, &tracer, &notices);

    let answers = ResolverCache::live(extent, header.own_netns);
    let mut core = Core::of(&settings.pipeline(), &header, answers, None, sink);
    if !counts_only {
        core.out().header();
    }
    core.out().subscribers.add(commands.keeps_stats());
    for subscriber in subscribers {
        core.out().subscribers.add(subscriber);
    }
    let queries = queries(settings, &tracer, namespaces).map_err(Error::Setup)?;
    let overload = Overload::new(settings.max_rate);
    let mut reader = Reader::new(tracer, Entrance { core, log }, writer, queries, overload, clock);
    let (duration, start_ns) = (settings.duration, header.start_ns);
    let run = move || {
        at_start(SessionThread::Ring);
        // Records wait for the resolver, so it inherits the priority of this thread.
        if !counts_only {
            reader.ask_of(ResolverThread::start(watch).map_err(Error::Setup)?);
        }
        run(reader, &commands, duration, start_ns)
    };
    let thread = thread::Builder::new().name("ring".to_owned()).spawn(run).map_err(Error::Setup)?;
    Ok(Session::new(header, handle, thread))
}

/// Runs on the thread of the session.
fn run(
    mut reader: Reader,
    commands: &Commands,
    duration: Option<Duration>,
    start_ns: u64,
) -> Result<Outcome, Error> {
    event_loop::run(&mut reader, commands, duration)?;
    reader.finish(start_ns, GRACE)
}

/// Sends the notice that tracing has begun, and notices about what cannot be seen.
fn notify(settings: &Settings, tracer: &bpf::Tracer, notices: &Notices) {
    if host::has_own_pids() {
        notices.give(Notice::OwnPids);
    }
    if settings.half_open == Some(HalfOpenBy::Events)
        && let Some(hooks) = tracer.half_open()
    {
        match &hooks.syns {
            Err(why) => notices.give(Notice::NoSyns(why.clone())),
            Ok(syns) if !syns.whole_host => notices.give(Notice::VisibleCgroupsOnly),
            Ok(_) => {}
        }
        if let Err(why) = &hooks.retransmits {
            notices.give(Notice::NoRetransmits(why.clone()));
        }
    }
    notices.give(Notice::Begun {
        hook: tracer.hook(),
        ring_bytes: tracer.ring_bytes(),
        recording: settings.record.as_ref().map(|target| target.path.clone()),
    });
    if let Some(why) = tracer.unowned() {
        notices.give(Notice::PreexistingUnowned(why.to_owned()));
    }
}

/// The scanner, resolver and watch that ask the host while the trace goes on.
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
    Ok(HostQueries { resolver: None, scanner, namespaces, dumps, polls, scans })
}

/// The header: everything that is known of a trace before its first record.
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
