//! Looking at the host again and again beside the trace.

use std::{
    collections::BTreeMap,
    fs, io,
    sync::{
        Arc,
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use tokio::sync::Notify;

use super::Shared;
use crate::{
    clock::monotonic_ns,
    detect::{Finding, Limits, NamespaceSample, Sample, Seen, Severity, Who},
    netstat,
    snapshot::{Netns, visit},
    sockets::{Gaps, Looker},
    trace,
    wanted::Wanted,
};

/// Looks.
pub(super) struct Sampler {
    looker: Looker,
    netns: Option<Netns>,
    period: Duration,
}

/// What the looks were like.
#[derive(Debug, Default)]
pub(super) struct Looks {
    /// How many there were.
    pub(super) count: u64,
    /// What the last one could not see.
    pub(super) gaps: Gaps,
    /// Why one failed altogether.
    pub(super) failed: Option<String>,
}

/// The thread that looks.
pub(super) struct Running {
    stop: Sender<()>,
    thread: JoinHandle<Looks>,
}

impl Running {
    /// Looks once more, and ends.
    pub(super) fn finish(self) -> Looks {
        drop(self.stop);
        self.thread
            .join()
            .unwrap_or_else(|_| Looks { failed: Some("a look panicked".to_owned()), ..Looks::default() })
    }
}

impl Sampler {
    /// Of what the trace is of.
    pub(super) fn new(trace: &trace::Settings, period: Duration) -> Self {
        let netns = trace.netns.clone();
        Self { looker: Looker::new(Wanted::of(&trace.bpf), netns.clone()), netns, period }
    }

    /// Begins. `end_on`: findings of this severity end the watch by `stop`. `looked` is called after each look.
    pub(super) fn start(
        self,
        shared: Shared,
        stop: Arc<Notify>,
        end_on: Option<Severity>,
        mut looked: impl FnMut(&[Finding]) + Send + 'static,
    ) -> io::Result<Running> {
        let (sender, stopped) = channel::<()>();
        let Self { mut looker, netns, period } = self;
        let look_on = move || {
            let mut looks = Looks::default();
            loop {
                let outcome = stopped.recv_timeout(if looks.count == 0 { Duration::ZERO } else { period });
                look(&mut looker, netns.as_ref(), &shared, &mut looks);
                let findings = shared.lock().findings();
                looked(&findings);
                if outcome == Err(RecvTimeoutError::Disconnected) {
                    return looks;
                }
                if end_on.is_some_and(|least| findings.iter().any(|one| one.severity >= least)) {
                    stop.notify_one();
                }
            }
        };
        let thread = std::thread::Builder::new().name("sampler".to_owned()).spawn(look_on)?;
        Ok(Running { stop: sender, thread })
    }
}

fn look(looker: &mut Looker, netns: Option<&Netns>, shared: &Shared, looks: &mut Looks) {
    looks.count += 1;
    let namespaces: BTreeMap<_, _> = visit(netns, namespace_here).into_iter().collect();
    let look = match looker.look() {
        Ok(look) => look,
        Err(error) => {
            looks.failed = Some(error.to_string());
            return;
        }
    };
    looks.gaps = look.gaps;
    let owners = look.owners;
    let seen = look.sockets.into_iter().map(|socket| {
        let pids = owners.of(&socket).map(|owner| owner.holder.pid);
        Seen { owners: pids.map(|pid| Who::of_holder(pid, owners.process(pid))).collect(), socket }
    });
    let sample = Sample { ktime_ns: monotonic_ns(), sockets: seen.collect(), namespaces };
    shared.lock().sample(sample);
}

/// Of the namespace that the calling thread is in.
fn namespace_here() -> NamespaceSample {
    let sysctl = |name: &str| fs::read_to_string(format!("/proc/sys/net/{name}")).ok();
    let number = |name: &str| sysctl(name)?.trim().parse::<u64>().ok();
    let ports = || {
        let text = sysctl("ipv4/ip_local_port_range")?;
        let mut words = text.split_whitespace().map(str::parse);
        Some((words.next()?.ok()?, words.next()?.ok()?))
    };
    let default = Limits::default();
    let limits = Limits {
        ports: ports().unwrap_or(default.ports),
        max_tw_buckets: number("ipv4/tcp_max_tw_buckets").unwrap_or(default.max_tw_buckets),
        fin_timeout_s: number("ipv4/tcp_fin_timeout").unwrap_or(default.fin_timeout_s),
    };
    let text = fs::read_to_string("/proc/thread-self/net/netstat").unwrap_or_default();
    let counters = netstat::counters(&text).map(|(name, count)| (name.to_owned(), count)).collect();
    NamespaceSample { counters, limits }
}
