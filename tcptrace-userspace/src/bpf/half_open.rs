//! The programs that see half-open connections, beside the one on the hook. Each is optional.

use aya::{
    Ebpf,
    maps::{MapData, PerCpuArray},
    programs::{BtfTracePoint, CgroupAttachMode, ProgramError, ProgramFd, SockOps, TracePoint},
};
use tcptrace_common::{Config, EndsLayout, HalfOpenCounters, Known};
use tcptrace_core::model::hooks::{HalfOpenHooks, Syns};

use super::{
    Error,
    boundary::PodHalfOpenCounters,
    cgroup, fdinfo,
    kernel::Kernel,
    object::{attach_btf, map, object, program, refusal, unload},
};

/// Programs for SYNs, best first. The second one is for kernels before 5.15, which do not pass the namespace there.
const SYN: [&str; 2] = ["syn_netns", "syn"];
/// Programs for SYN-ACKs: with type information, and by the record's format.
const SYNACK: [&str; 2] = ["synack", "synack_tp"];

/// The attached programs, and their counters.
pub(super) struct HalfOpen {
    hooks: HalfOpenHooks,
    /// A descriptor of our own, to ask for missed runs after detaching.
    synack: Option<fdinfo::Program<ProgramFd>>,
    counters: PerCpuArray<MapData, PodHalfOpenCounters>,
}

impl HalfOpen {
    /// Loads and attaches what the kernel accepts.
    ///
    /// # Errors
    /// [`Error::Object`]: the object lacks a program or a map.
    pub(super) fn attach(ebpf: &mut Ebpf, config: &Config) -> Result<Self, Error> {
        let counters = PerCpuArray::try_from(map(ebpf, "HALF_OPEN")?).map_err(object)?;
        let syns = attach_syns(ebpf);
        let retransmits = attach_retransmits(ebpf, config);
        let (synack, retransmits) = match retransmits {
            Ok(program) => (Some(fdinfo::Program::new(program)), Ok(())),
            Err(why) => (None, Err(why)),
        };
        Ok(Self { hooks: HalfOpenHooks { syns, retransmits }, synack, counters })
    }

    pub(super) fn hooks(&self) -> &HalfOpenHooks {
        &self.hooks
    }

    /// SYN-ACKs that the kernel did not run the program for; 0 where it does not report that.
    pub(super) fn missed_runs(&self) -> u64 {
        self.synack.as_ref().and_then(fdinfo::Program::missed_runs).unwrap_or(0)
    }

    /// The counters of all CPUs together.
    ///
    /// # Errors
    /// [`Error::Counters`].
    pub(super) fn counters(&self) -> Result<HalfOpenCounters, Error> {
        let cpus = self.counters.get(&0, 0).map_err(|error| Error::Counters(error.to_string()))?;
        let mut sum = HalfOpenCounters::default();
        for cpu in cpus.iter() {
            sum.add(&cpu.0);
        }
        Ok(sum)
    }
}

/// Detaches the programs: nothing new is counted or sent.
pub(super) fn detach(ebpf: &mut Ebpf) {
    SYN.into_iter().chain(SYNACK).for_each(|name| unload(ebpf, name));
}

fn attach_syns(ebpf: &mut Ebpf) -> Result<Syns, String> {
    let root = cgroup::root().map_err(|error| error.to_string())?;
    let mut attach = |name: &str| -> Result<(), String> {
        let program: &mut SockOps = program(ebpf, name).map_err(|error| error.to_string())?;
        program.load().map_err(|error| refusal(&error))?;
        // Attaches by a link. A link always lets other programs attach beside it, and ends with its descriptor. The
        // mode is for kernels without links.
        let attached = program.attach(&root.directory, CgroupAttachMode::Single);
        attached.map(drop).map_err(|error| refusal(&error))
    };
    let [first, second] = SYN;
    let netns = match attach(first) {
        Ok(()) => true,
        Err(first) => attach(second).map(|()| false).map_err(|_| first)?,
    };
    Ok(Syns { whole_host: root.whole, netns })
}

fn attach_retransmits(ebpf: &mut Ebpf, config: &Config) -> Result<ProgramFd, String> {
    let [typed, classic] = SYNACK;
    if config.known & Known::SOCK == 0 {
        if config.signals.synack_ends == EndsLayout::NONE {
            return Err("the event's format lacks what tcptrace reads".to_owned());
        }
        let program: &mut TracePoint = program(ebpf, classic).map_err(|error| error.to_string())?;
        program.load().map_err(|error| refusal(&error))?;
        program.attach("tcp", "tcp_retransmit_synack").map_err(|error| refusal(&error))?;
        return descriptor(program.fd());
    }
    let types = Kernel::get().and_then(Kernel::types).map_err(|error| error.to_string())?;
    let program: &mut BtfTracePoint = program(ebpf, typed).map_err(|error| error.to_string())?;
    attach_btf(program, "tcp_retransmit_synack", &types).map_err(|error| refusal(&error))?;
    descriptor(program.fd())
}

fn descriptor(program: Result<&ProgramFd, ProgramError>) -> Result<ProgramFd, String> {
    program.map_err(|error| error.to_string())?.try_clone().map_err(|error| error.to_string())
}
