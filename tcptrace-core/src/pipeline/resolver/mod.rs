//! The cache of resolved processes, network namespaces and devices. A live trace sends its resolver [`Question`]s before the
//! turn of the records that need the answers. The answers come as inputs, from the host or from a capture.

mod questions;
mod recent;

use std::sync::Arc;

use hashlink::LinkedHashMap;

use crate::{
    model::{
        event::Event,
        input::{Answer, Input, Key},
        process::Process,
    },
    pipeline::peek::Peek,
};

use questions::Asked;
pub use questions::Question;
use recent::RecentAnswers;

/// Keys to remember of a live trace.
const LIVE: usize = 16_384;
/// Keys to remember of a capture: many more than the recorded trace remembered.
const REPLAYED: usize = 262_144;

/// The most namespaces to ask for at a time. Records of further namespaces get no answer.
const ASKED: usize = 16_384;

/// How long an answer about a process holds, nanoseconds: for that time, a process id stands for the same process with the
/// same program. The kernel gives the id to another process only after all other ids, which takes longer.
const PROCESS_HOLDS_NS: u64 = 50_000_000;

/// How long a name of a device holds, nanoseconds. A device can be renamed, and another device can get its index.
const DEVICE_HOLDS_NS: u64 = 1_000_000_000;

/// The answers of the resolver, and the questions to it.
pub struct ResolverCache {
    processes: RecentAnswers<u32, Arc<Process>>,
    namespaces: RecentAnswers<u64, u32>,
    devices: RecentAnswers<(u32, u32), Arc<str>>,
    /// `None` where all answers come from a capture.
    questions: Option<Questions>,
}

/// The processes that are resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All owners.
    All,
    /// Owners of which an event has only the name of another thread.
    Names,
    /// No process.
    Nobody,
}

/// The questions that were asked, by kind.
struct Questions {
    extent: Extent,
    own_netns: Option<u32>,
    processes: Asked<u32, Option<[u8; 16]>>,
    devices: Asked<(u32, u32), ()>,
    exits: Asked<Key, ()>,
    /// Cookies of namespaces to ask for, each with the time of the oldest record.
    namespaces: LinkedHashMap<u64, u64>,
}

impl ResolverCache {
    /// The cache of a live trace. `own_netns`: the inode of the network namespace that the resolver is in, where that is
    /// known; the resolver names the devices of this namespace only.
    pub fn live(extent: Extent, own_netns: Option<u32>) -> Self {
        let questions = Questions {
            extent,
            own_netns,
            processes: Asked::new(PROCESS_HOLDS_NS),
            devices: Asked::new(DEVICE_HOLDS_NS),
            exits: Asked::new(PROCESS_HOLDS_NS),
            namespaces: LinkedHashMap::new(),
        };
        Self { questions: Some(questions), ..Self::remembering(LIVE) }
    }

    /// The cache of a replay.
    pub fn replayed() -> Self {
        Self::remembering(REPLAYED)
    }

    fn remembering(limit: usize) -> Self {
        let (processes, namespaces, devices) =
            (RecentAnswers::new(limit), RecentAnswers::new(limit), RecentAnswers::new(limit));
        Self { processes, namespaces, devices, questions: None }
    }

    /// Takes an answer about a process.
    pub fn process(&mut self, answer: Answer<u32, Arc<Process>>) {
        self.processes.add(answer);
    }

    /// Takes an answer with the inode number of a network namespace.
    pub fn namespace(&mut self, answer: Answer<u64, u32>) {
        self.namespaces.add(answer);
    }

    /// Takes an answer with the name of a network device.
    pub fn device(&mut self, answer: Answer<(u32, u32), Arc<str>>) {
        self.devices.add(answer);
    }

    /// Sets the name of an event's device, if it has a device whose name is known.
    pub fn name_device(&mut self, event: &mut Event) {
        if let (Some(device), Some(netns)) = (&mut event.device, event.flow.netns) {
            device.name = self.devices.get((netns, device.ifindex), event.ktime_ns);
        }
    }

    /// Sets the process of an event, if the process owns the socket and is known.
    pub fn identify(&mut self, event: &mut Event) {
        let by_name = || self.questions.as_ref().is_some_and(|questions| questions.extent == Extent::Names);
        if event.context_owns && !(event.context.is_main_thread() && by_name()) {
            event.process = self.processes.get(event.context.pid, event.ktime_ns);
        }
    }

    /// Whether there is a resolver to ask for the ends of processes.
    pub fn knows_exits(&self) -> bool {
        self.questions.as_ref().is_some_and(|questions| questions.extent != Extent::Nobody)
    }

    /// Asks whether a process has ended, on behalf of an event, or of a check of that time.
    pub fn ask_exit(&mut self, process: Key, ktime_ns: u64) {
        if let Some(questions) = &mut self.questions {
            questions.exits.ask(process, (), ktime_ns);
        }
    }

    /// The inode number of the network namespace with this cookie.
    pub fn inode(&self, cookie: u64, ktime_ns: u64) -> Option<u32> {
        self.namespaces.get(cookie, ktime_ns)
    }

    /// Asks for the process and for the device of a transition, before the turn of its record.
    pub fn ask(&mut self, record: &[u8], ktime_ns: u64) {
        let Some(Questions { extent, own_netns, processes, devices, .. }) = &mut self.questions else {
            return;
        };
        let Some(peek) = Peek::at(record) else { return };
        if *extent != Extent::Nobody
            && let Some((pid, comm)) = peek.actor()
            && (*extent == Extent::All || comm.is_none())
        {
            processes.ask(pid, comm, ktime_ns);
        }
        if let Some((netns, ifindex)) = peek.device()
            && *own_netns == Some(netns)
        {
            devices.ask((netns, ifindex), (), ktime_ns);
        }
    }

    /// Asks for the namespace with this cookie, before the turn of its record.
    pub fn ask_namespace(&mut self, cookie: u64, ktime_ns: u64) {
        if self.inode(cookie, ktime_ns).is_some() {
            return;
        }
        if let Some(Questions { namespaces, .. }) = &mut self.questions
            && (namespaces.len() < ASKED || namespaces.contains_key(&cookie))
        {
            let oldest_ns = namespaces.entry(cookie).or_insert(ktime_ns);
            *oldest_ns = ktime_ns.min(*oldest_ns);
        }
    }

    /// Takes out the namespaces to ask for since the last call: their cookies, each with the time of the oldest record,
    /// nanoseconds of `CLOCK_MONOTONIC`.
    pub fn asked_namespaces(&mut self) -> LinkedHashMap<u64, u64> {
        self.questions.as_mut().map(|questions| std::mem::take(&mut questions.namespaces)).unwrap_or_default()
    }

    /// Takes out the other questions since the last call.
    pub fn questions(&mut self) -> Vec<Question> {
        let Some(Questions { processes, devices, exits, .. }) = &mut self.questions else {
            return Vec::new();
        };
        if processes.is_empty() && devices.is_empty() && exits.is_empty() {
            return Vec::new();
        }
        let processes =
            processes.take().map(|(pid, comm, ktime_ns)| Question::Process { pid, comm, ktime_ns });
        let devices = devices.take().map(|((netns, ifindex), (), ktime_ns)| Question::Device {
            netns,
            ifindex,
            ktime_ns,
        });
        let exits = exits.take().map(|(process, (), _)| Question::Exit(process));
        processes.chain(devices).chain(exits).collect()
    }

    /// Whether an answer differs from the last one. If it does not, no input is needed for it.
    pub fn is_new(&self, input: &Input<'_>) -> bool {
        match input {
            Input::Process(answer) => self.processes.is_new(answer),
            Input::Namespace(answer) => self.namespaces.is_new(answer),
            Input::Device(answer) => self.devices.is_new(answer),
            _ => true,
        }
    }

    /// The answers that a further file of a capture begins with, since it must be readable without the files before it. The
    /// answer about a process that was not asked for lately is recorded when the process is asked for again.
    pub fn record_again(&mut self) -> Vec<Input<'static>> {
        let Some(Questions { processes, .. }) = &self.questions else { return Vec::new() };
        let namespaces = self.namespaces.record_again(|_| true).into_iter().map(Input::Namespace);
        let processes = self.processes.record_again(|pid| processes.is_current(pid));
        let devices = self.devices.record_again(|_| true);
        namespaces
            .chain(processes.into_iter().map(Input::Process))
            .chain(devices.into_iter().map(Input::Device))
            .collect()
    }
}
