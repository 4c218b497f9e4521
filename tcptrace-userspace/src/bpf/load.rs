//! From options to an attached program: resolve the layout, write the settings, load, attach.

use std::fs;

use aya::{
    Ebpf,
    maps::{Array, Map, PerCpuArray},
    programs::{BtfTracePoint, ProgramError, TracePoint},
};
use aya_log::EbpfLogger;
use tcptrace_common::{Config, Filter, Known, MODE_COUNT, MODE_STREAM};
use tcptrace_core::model::{hooks::Hook, ports::PortSet, socket_filter::SocketFilter};

use super::{
    Error, Features, RunStats, Tracer,
    batches::{self, Batches},
    boundary::Entries,
    fdinfo, format,
    half_open::HalfOpen,
    kernel::Kernel,
    object::{Sizes, attach_btf, load_object, map, object, of_hook, program, refusal},
    owned::Owned,
    privileges, release, ring, signals, tracefs,
};

/// Capacity for processes that are no newcomers any more.
const NEWCOMERS: u32 = 4_096;

/// Options of the kernel side.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is switched by itself")]
pub struct Options {
    /// The hook to use; `None` takes the best that works.
    pub hook: Option<Hook>,
    /// The filter, apart from ports.
    pub filter: Filter,
    /// Local ports to report; `None` for all.
    pub lports: Option<PortSet>,
    /// Remote ports to report; `None` for all.
    pub rports: Option<PortSet>,
    /// Ring buffer in bytes, rounded up to what the kernel takes.
    pub buffer: u64,
    /// Count only, stream nothing.
    pub count_only: bool,
    /// Report half-open connections as well, as far as the kernel allows.
    pub half_open: bool,
    /// Sockets to remember in the kernel where a filter needs memory.
    pub max_connections: u32,
    /// Receive the kernel side's diagnostics.
    pub verbose: bool,
    /// Be notified at once of a process that connects or listens for the first time, so that it can be read while it
    /// lives.
    pub newcomers: bool,
}

impl Default for Options {
    /// Everything of the whole host, by the best hook.
    fn default() -> Self {
        Self {
            hook: None,
            filter: Filter::NONE,
            lports: None,
            rports: None,
            buffer: ring::default_buffer(),
            count_only: false,
            half_open: false,
            // Only filters need memory of sockets.
            max_connections: 1,
            verbose: false,
            newcomers: false,
        }
    }
}

impl Options {
    /// The filter of a trace with these options.
    pub fn wanted(&self) -> SocketFilter {
        let Self { filter, lports, rports, .. } = self;
        SocketFilter { filter: *filter, lports: lports.clone(), rports: rports.clone() }
    }
}

/// Loads and attaches the kernel side. Call it before starting other threads: see [`Error::NoTracefs`].
///
/// # Errors
/// [`Error`]: what is missing, and what to do.
pub fn load(options: &Options) -> Result<Tracer, Error> {
    if !privileges::may_trace() {
        return Err(Error::NotPrivileged);
    }
    privileges::lift_memlock();
    match options.hook {
        Some(Hook::TpBtf) => tp_btf(options),
        Some(Hook::Tracepoint) => tracepoint(options),
        None => tp_btf(options).or_else(|tp_btf| match tp_btf {
            // An error that stops both hooks needs no second try.
            Error::Map { .. } | Error::Memlock { .. } | Error::NoRingBuffer(_) => Err(tp_btf),
            _ => tracepoint(options).map_err(|tracepoint| Error::NoHook {
                tp_btf: Box::new(tp_btf),
                tracepoint: Box::new(tracepoint),
            }),
        }),
    }
}

fn tp_btf(options: &Options) -> Result<Tracer, Error> {
    let kernel = Kernel::get()?;
    let mut config = settings(options);
    kernel.describe(&mut config)?;
    let nests = if release::nests(&release::running()) { Known::NESTS } else { 0 };
    config.known |= Known::COOKIE_HELPER | kernel.typed | nests;
    let types = kernel.types()?;
    // Kernels before 5.12 do not know all helpers; without them the cookie comes from its field. Kernels before 5.10
    // cannot run a program on a CPU, which batches need.
    let fields = Config { known: config.known & !(Known::COOKIE_HELPER | Known::TASK), ..config };
    let settings = [config, bare(&config), fields, bare(&fields), Config { batch: 0, ..bare(&fields) }];
    let (mut tracer, config) = first_accepted(&settings, |config| {
        open(options, Hook::TpBtf, config, |ebpf| attach_tp_btf(program(ebpf, of_hook(Hook::TpBtf))?, &types))
    })?;
    if !options.count_only {
        tracer.attach_signals(&config, Some(&types), kernel.reasons.clone());
    }
    Ok(tracer)
}

fn tracepoint(options: &Options) -> Result<Tracer, Error> {
    let event = tracefs::event_directory()?;
    let text =
        fs::read_to_string(event.join("format")).map_err(|_| Error::NoTracefs("format is unreadable"))?;
    let mut config = settings(options);
    config.record = format::parse_format(&text)?;
    // The directories of the other groups are beside `sock`, that of this event's group.
    if let Some(events) = event.ancestors().nth(2) {
        signals::known_classic(events, &mut config);
    }
    let record = config;
    // The socket behind the record can be read where BTF describes it. Otherwise the record alone must suffice.
    let kernel = Kernel::get().ok();
    if let Some(kernel) = kernel {
        // An unknown fact stays unknown.
        let _ = kernel.describe(&mut config);
    }
    let unbatched = |config: &Config| Config { batch: 0, ..*config };
    let settings = [config, bare(&config), unbatched(&config), unbatched(&bare(&config)), unbatched(&record)];
    let (mut tracer, config) = first_accepted(&settings, |config| {
        open(options, Hook::Tracepoint, config, |ebpf| {
            let program: &mut TracePoint = program(ebpf, of_hook(Hook::Tracepoint))?;
            program.load().map_err(|error| refused(Hook::Tracepoint, &error))?;
            program
                .attach("sock", "inet_sock_set_state")
                .map_err(|error| refused(Hook::Tracepoint, &error))?;
            Ok(())
        })
    })?;
    if !options.count_only {
        tracer.attach_signals(&config, None, kernel.map(|kernel| kernel.reasons.clone()).unwrap_or_default());
    }
    Ok(tracer)
}

/// The same settings without the newest fields, which have been tried on the fewest kernels.
fn bare(config: &Config) -> Config {
    Config { known: config.known & !Known::FACTS, ..*config }
}

/// Opens with the first of these settings, best first, with which the kernel does not refuse the program. It returns
/// the last refusal, also when the next settings know too little for the user's filters.
fn first_accepted(
    settings: &[Config],
    open: impl Fn(&Config) -> Result<Tracer, Error>,
) -> Result<(Tracer, Config), Error> {
    let mut refusal = Error::NetnsUnknown;
    for config in settings {
        match open(config) {
            Err(refused @ Error::Refused { .. }) => refusal = refused,
            Err(Error::NetnsUnknown) => return Err(refusal),
            outcome => return outcome.map(|tracer| (tracer, *config)),
        }
    }
    Err(refusal)
}

/// Loads a program of this type and starts it.
fn attach_tp_btf(program: &mut BtfTracePoint, types: &aya::Btf) -> Result<(), Error> {
    attach_btf(program, "inet_sock_set_state", types).map_err(|error| refused(Hook::TpBtf, &error))
}

/// An empty program on the hook, to measure the cost that is not tcptrace's. It detaches when it is dropped.
pub struct Floor {
    ebpf: Ebpf,
}

impl Floor {
    /// The program's runs so far; `None` where the kernel does not report them.
    pub fn run_stats(&self) -> Option<RunStats> {
        let program: &BtfTracePoint = self.ebpf.program(FLOOR)?.try_into().ok()?;
        fdinfo::Program::new(program.fd().ok()?).run_stats()
    }
}

/// Name of the empty program.
const FLOOR: &str = "floor";

/// Loads and attaches the empty program.
///
/// # Errors
/// [`Error`], as for [`load`] with [`Hook::TpBtf`].
pub fn load_floor() -> Result<Floor, Error> {
    let types = Kernel::get()?.types()?;
    let mut ebpf = load_object(&Config::EMPTY, 0, Sizes::least())?;
    attach_tp_btf(program(&mut ebpf, FLOOR)?, &types)?;
    Ok(Floor { ebpf })
}

/// The settings that do not depend on the kernel.
fn settings(options: &Options) -> Config {
    let mut config = Config::EMPTY;
    config.mode = if options.count_only { MODE_COUNT } else { MODE_STREAM };
    let ring = ring::ring_size(options.buffer);
    config.batch = if options.count_only { 0 } else { ring::batch(ring, ring::cpus()) };
    config.watermark = ring::watermark(ring);
    config.known = if options.newcomers { Known::NEWCOMERS } else { 0 };
    config.filter = options.filter;
    config.filter.by_lport = u32::from(options.lports.is_some());
    config.filter.by_rport = u32::from(options.rports.is_some());
    config.filter.active = u32::from(config.filter != Filter::NONE);
    config
}

/// Creates the maps, opens them, and only then lets `attach` start the program.
fn open(
    options: &Options,
    hook: Hook,
    config: &Config,
    attach: impl FnOnce(&mut Ebpf) -> Result<(), Error>,
) -> Result<Tracer, Error> {
    // Where no socket has a namespace, such a filter would hide all of them.
    if config.filter.netns != 0 && config.known & Known::NETNS == 0 {
        return Err(Error::NetnsUnknown);
    }
    let size = ring::ring_size(options.buffer);
    let log_level: u8 = if options.verbose { aya_log::Level::Debug as u8 } else { 0 };
    let remembered = options.max_connections.max(1);
    let filter = &config.filter;
    let sizes = Sizes {
        events: size,
        log: if options.verbose { None } else { Sizes::least().log },
        since: if filter.by_state() { remembered } else { 1 },
        owned: if filter.tgid != 0 { remembered } else { 1 },
        newcomers: if options.newcomers { NEWCOMERS } else { 1 },
    };
    let mut ebpf = load_object(config, log_level, sizes)?;

    let mut ports: Array<_, [u64; 1024]> = Array::try_from(map(&mut ebpf, "PORTS")?).map_err(object)?;
    for (slot, set) in [(0, &options.lports), (1, &options.rports)] {
        if let Some(set) = set {
            ports.set(slot, set.words(), 0).map_err(object)?;
        }
    }
    let Map::RingBuf(events) = map(&mut ebpf, "EVENTS")? else {
        return Err(object("EVENTS is no ring buffer"));
    };
    let events = Entries::open(events, size).map_err(object)?;
    let counters = PerCpuArray::try_from(map(&mut ebpf, "COUNTERS")?).map_err(object)?;
    let waiting = PerCpuArray::try_from(map(&mut ebpf, "WAITING")?).map_err(object)?;
    let batches = if config.batch == 0 {
        None
    } else {
        let flush = program(&mut ebpf, batches::PROGRAM)?;
        Some(Batches::new(flush, waiting).map_err(|error| refused(hook, &error))?)
    };
    let log = if options.verbose { Some(EbpfLogger::init(&mut ebpf).map_err(object)?) } else { None };
    let mut owned = if filter.tgid == 0 { None } else { Some(Owned::new(&mut ebpf, filter.tgid)?) };
    owned.iter_mut().for_each(Owned::note);
    attach(&mut ebpf)?;
    // Enters the sockets that the process has got in between.
    owned.iter_mut().for_each(Owned::note);
    let half_open = if options.half_open { Some(HalfOpen::attach(&mut ebpf, config)?) } else { None };
    let features = Features::of(hook, config);
    let unowned = owned.and_then(|owned| owned.unknown());
    Tracer::new(ebpf, (hook, features, unowned), size, events, batches, (counters, half_open), log)
}

/// The error for a program that the kernel refused.
fn refused(hook: Hook, error: &ProgramError) -> Error {
    let lockdown = if privileges::lockdown_confidential() {
        "; the kernel is locked down for confidentiality (/sys/kernel/security/lockdown)"
    } else {
        ""
    };
    Error::Refused { hook, reason: refusal(error), lockdown }
}
