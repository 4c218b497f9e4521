//! Processes, network namespaces and devices, resolved. A live trace asks its resolver by [`Question`]s, before the turn of the
//! records that ask; the answers come as inputs, of the host or of a capture.

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
/// Keys to remember of a capture: many more than its recorder did.
const REPLAYED: usize = 262_144;

/// Namespaces that are asked for at a time. Records of more of them go without.
const ASKED: usize = 16_384;

/// How long a process is taken for the same one that runs the same program, nanoseconds. For its id to come round to another
/// one, all other ids must have been used up meanwhile, which takes longer.
const PROCESS_HOLDS_NS: u64 = 50_000_000;

/// How long a name of a device holds, nanoseconds. A device can be renamed, and another device can get its index.
const DEVICE_HOLDS_NS: u64 = 1_000_000_000;

/// Answers of the resolver, and questions to it.
pub struct ResolverCache {
    processes: RecentAnswers<u32, Arc<Process>>,
    namespaces: RecentAnswers<u64, u32>,
    devices: RecentAnswers<(u32, u32), Arc<str>>,
    /// `None` where everything comes from a capture.
    questions: Option<Questions>,
}

/// Which processes are resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Every owner's.
    All,
    /// Those of which an event has the name of another thread only.
    Names,
    /// Nobody's.
    Nobody,
}

/// Kinds of questions.
struct Questions {
    extent: Extent,
    own_netns: Option<u32>,
    processes: Asked<u32, Option<[u8; 16]>>,
    devices: Asked<(u32, u32), ()>,
    exits: Asked<Key, ()>,
    /// Namespaces that records wait for.
    namespaces: LinkedHashMap<u64, u64>,
}

impl ResolverCache {
    /// The cache of a live trace. `own_netns`: the inode of the network namespace that the resolver is in, where that is known; it names
    /// the devices of no other one.
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

    /// Takes an answer of what a process is.
    pub fn process(&mut self, answer: Answer<u32, Arc<Process>>) {
        self.processes.add(answer);
    }

    /// Takes an answer of which inode number a network namespace has.
    pub fn namespace(&mut self, answer: Answer<u64, u32>) {
        self.namespaces.add(answer);
    }

    /// Takes an answer of what a network device is called.
    pub fn device(&mut self, answer: Answer<(u32, u32), Arc<str>>) {
        self.devices.add(answer);
    }

    /// Notes in an event what its device is called, if it has one whose name is known.
    pub fn name_device(&mut self, event: &mut Event) {
        if let (Some(device), Some(netns)) = (&mut event.device, event.flow.netns) {
            device.name = self.devices.get((netns, device.ifindex), event.ktime_ns);
        }
    }

    /// Notes in an event what its process is, if that owns the socket and is known.
    pub fn identify(&mut self, event: &mut Event) {
        let by_name = || self.questions.as_ref().is_some_and(|questions| questions.extent == Extent::Names);
        if event.context_owns && !(event.context.is_main_thread() && by_name()) {
            event.process = self.processes.get(event.context.pid, event.ktime_ns);
        }
    }

    /// Whether anybody can be asked for the ends of processes.
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

    /// The namespaces that were asked for since the last time, by their cookies, each with the time of the oldest record,
    /// nanoseconds of `CLOCK_MONOTONIC`.
    pub fn asked_namespaces(&mut self) -> LinkedHashMap<u64, u64> {
        self.questions.as_mut().map(|questions| std::mem::take(&mut questions.namespaces)).unwrap_or_default()
    }

    /// The other questions since the last time.
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

    /// Whether an answer is another one than the last: another input is not needed.
    pub fn is_new(&self, input: &Input<'_>) -> bool {
        match input {
            Input::Process(answer) => self.processes.is_new(answer),
            Input::Namespace(answer) => self.namespaces.is_new(answer),
            Input::Device(answer) => self.devices.is_new(answer),
            _ => true,
        }
    }

    /// What another file of a capture begins with: it has to be understood without those before it. A process that was not
    /// asked for lately is answered again when it is.
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
