//! What processes, network namespaces and devices are, asked for as their events come: of the host, or of a capture.

use std::{hash::Hash, sync::Arc};

use hashlink::LinkedHashMap;

use crate::model::{
    event::{Context, Event},
    input::{Answer, Exit, Input, Key},
    process::Process,
};

/// Answers to remember while they are recorded; what is forgotten is recorded again.
const RECORDED: usize = 16_384;
/// Answers to remember of a capture: many more than its recorder did.
const REPLAYED: usize = 262_144;

/// Namespaces that are asked for at a time. Records of more of them go without.
const ASKED: usize = 16_384;

/// Who is asked.
pub struct ResolverCache {
    live: Option<Box<dyn Resolver>>,
    processes: RecentAnswers<u32, Arc<Process>>,
    namespaces: RecentAnswers<u64, u32>,
    devices: RecentAnswers<(u32, u32), Arc<str>>,
    /// Namespaces that records wait for.
    asked: LinkedHashMap<u64, u64>,
    /// What is new of it, while someone records it.
    news: Option<Vec<Input<'static>>>,
}

/// Who knows the host while a trace is live.
pub trait Resolver: Send {
    /// What the process is in whose context an event came, if it was seen while it lived.
    fn process(&mut self, context: &Context, ktime_ns: u64) -> Option<Arc<Process>>;

    /// Whether it knows processes at all.
    fn has_processes(&self) -> bool;

    /// The end of a process, if it has ended by now.
    fn exit(&mut self, process: Key) -> Option<Exit>;

    /// The name of a network device, by the inode number of its namespace and its index there.
    fn device(&mut self, netns: u32, ifindex: u32, ktime_ns: u64) -> Option<Arc<str>>;
}

impl ResolverCache {
    /// Of the host.
    pub fn live(live: Box<dyn Resolver>, recorded: bool) -> Self {
        Self { live: Some(live), news: recorded.then(Vec::new), ..Self::remembering(RECORDED) }
    }

    /// Of a capture.
    pub fn replayed() -> Self {
        Self::remembering(REPLAYED)
    }

    fn remembering(limit: usize) -> Self {
        let (processes, namespaces, devices) =
            (RecentAnswers::new(limit), RecentAnswers::new(limit), RecentAnswers::new(limit));
        Self { live: None, processes, namespaces, devices, asked: LinkedHashMap::new(), news: None }
    }

    /// Takes what a capture says of a process.
    pub fn process(&mut self, answer: Answer<u32, Arc<Process>>) {
        self.processes.add(answer);
    }

    /// Takes what a capture says of a network namespace.
    pub fn namespace(&mut self, answer: Answer<u64, u32>) {
        self.namespaces.add(answer);
    }

    /// Takes what a capture says of a network device.
    pub fn device(&mut self, answer: Answer<(u32, u32), Arc<str>>) {
        self.devices.add(answer);
    }

    /// Notes in an event what its device is called, if it has one whose name is known.
    pub fn name_device(&mut self, event: &mut Event) {
        let (Some(device), Some(netns)) = (&mut event.device, event.netns) else { return };
        let (key, from_ns) = ((netns, device.ifindex), event.ktime_ns);
        device.name = match &mut self.live {
            None => self.devices.get(key, from_ns),
            Some(live) => {
                let name = live.device(netns, device.ifindex, from_ns);
                self.devices.note(&mut self.news, (from_ns, key, &name), Input::Device);
                name
            }
        };
    }

    /// Notes in an event what its process is, if that owns the socket and is known.
    pub fn identify(&mut self, event: &mut Event) {
        if !event.context_owns {
            return;
        }
        let (context, from_ns) = (&event.context, event.ktime_ns);
        event.process = match &mut self.live {
            None => self.processes.get(context.pid, from_ns),
            Some(live) => {
                let process = live.process(context, from_ns);
                self.processes.note(&mut self.news, (from_ns, context.pid, &process), Input::Process);
                process
            }
        };
    }

    /// Whether anybody can be asked for processes.
    pub fn has_processes(&self) -> bool {
        self.live.as_ref().is_some_and(|live| live.has_processes())
    }

    /// The end of a process, if it has ended by now: when it ended before, nothing tells, so it may have lived at any event so
    /// far. A capture says it by itself.
    pub fn exit(&mut self, process: Key) -> Option<Exit> {
        self.live.as_mut()?.exit(process)
    }

    /// Has an input recorded before the next release.
    pub fn record(&mut self, input: Input<'static>) {
        if let Some(news) = &mut self.news {
            news.push(input);
        }
    }

    /// The inode number of the network namespace with this cookie.
    pub fn inode(&self, cookie: u64, ktime_ns: u64) -> Option<u32> {
        self.namespaces.get(cookie, ktime_ns)
    }

    /// Asks for the namespace with this cookie, before the turn of its record: whoever feeds a live trace answers by an input.
    pub fn ask_namespace(&mut self, cookie: u64, ktime_ns: u64) {
        let is_known = self.live.is_none() || self.inode(cookie, ktime_ns).is_some();
        if !is_known && (self.asked.len() < ASKED || self.asked.contains_key(&cookie)) {
            let oldest_ns = self.asked.entry(cookie).or_insert(ktime_ns);
            *oldest_ns = ktime_ns.min(*oldest_ns);
        }
    }

    /// The namespaces that were asked for since the last time, by their cookies, each with the time of the oldest record,
    /// nanoseconds of `CLOCK_MONOTONIC`.
    pub fn asked_namespaces(&mut self) -> LinkedHashMap<u64, u64> {
        std::mem::take(&mut self.asked)
    }

    /// Whether an answer is another one than the last.
    pub fn is_new(&self, answer: &Answer<u64, u32>) -> bool {
        self.namespaces.is_new(answer)
    }

    /// What is to be recorded since the last time.
    pub fn news(&mut self) -> Vec<Input<'static>> {
        self.news.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Everything that was asked is to be recorded again: for another file, which begins with what is known of namespaces.
    pub fn forget_recorded(&mut self) -> Vec<Input<'static>> {
        if self.news.is_none() {
            return Vec::new();
        }
        (self.processes, self.devices) = (RecentAnswers::new(RECORDED), RecentAnswers::new(RECORDED));
        self.namespaces.last().map(Input::Namespace).collect()
    }
}

/// Answers by what was asked; bounded. Events are taken by their time, so a few are enough to remember of each.
struct RecentAnswers<K, V> {
    answers: LinkedHashMap<K, Vec<(u64, Option<V>)>>,
    limit: usize,
}

impl<K: Eq + Hash + Copy, V: PartialEq + Clone> RecentAnswers<K, V> {
    /// Of one key: the last release may have asked for as many, if its answers changed all the time.
    const EACH: usize = 8;

    fn new(limit: usize) -> Self {
        Self { answers: LinkedHashMap::new(), limit }
    }

    fn add(&mut self, answer: Answer<K, V>) {
        let Answer { from_ns, key, value } = answer;
        let answers = self.answers.entry(key).or_insert_with(Vec::new);
        if answers.len() == Self::EACH {
            answers.remove(0);
        }
        answers.push((from_ns, value));
        if self.answers.len() > self.limit {
            self.answers.pop_front();
        }
    }

    fn get(&self, key: K, ktime_ns: u64) -> Option<V> {
        let answers = self.answers.get(&key)?;
        answers.iter().rev().find(|(from_ns, _)| *from_ns <= ktime_ns)?.1.clone()
    }

    /// Adds what the host has said to what is to be recorded, if anybody records and it is another answer than the last.
    fn note(
        &mut self,
        news: &mut Option<Vec<Input<'static>>>,
        (from_ns, key, value): (u64, K, &Option<V>),
        input: impl FnOnce(Answer<K, V>) -> Input<'static>,
    ) {
        if let Some(news) = news {
            news.extend(self.differs(Answer { from_ns, key, value: value.clone() }).map(input));
        }
    }

    /// The last answers, of each key.
    fn last(&self) -> impl Iterator<Item = Answer<K, V>> {
        let last = |(key, answers): (&K, &Vec<(u64, Option<V>)>)| {
            let (from_ns, value) = answers.last()?.clone();
            Some(Answer { from_ns, key: *key, value })
        };
        self.answers.iter().filter_map(last)
    }

    /// Whether an answer is another one than the last. That nobody knows is none where nothing was said.
    fn is_new(&self, answer: &Answer<K, V>) -> bool {
        let last = self.answers.get(&answer.key).and_then(|answers| answers.last());
        last.map_or(answer.value.is_some(), |(_, value)| *value != answer.value)
    }

    /// The answer, if it is another one than the last.
    fn differs(&mut self, answer: Answer<K, V>) -> Option<Answer<K, V>> {
        if !self.is_new(&answer) {
            return None;
        }
        self.add(answer.clone());
        Some(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn an_answer_holds_from_its_time_on() {
        let mut known = RecentAnswers::new(2);
        let answer = |from_ns, key, value| Answer { from_ns, key, value };
        assert_eq!(known.differs(answer(1, 7, None)), None, "nobody is what is not known anyway");
        assert!(known.differs(answer(2, 7, Some('a'))).is_some());
        assert_eq!(known.differs(answer(3, 7, Some('a'))), None);
        assert!(known.differs(answer(4, 7, None)).is_some());
        assert!(known.differs(answer(6, 7, Some('b'))).is_some());
        let at = |ns| known.get(7, ns);
        assert_eq!(
            [1, 2, 3, 4, 5, 6, 9].map(at),
            [None, Some('a'), Some('a'), None, None, Some('b'), Some('b')]
        );
        known.add(answer(7, 8, Some('c')));
        known.add(answer(8, 9, Some('d')));
        assert_eq!((known.get(7, 9), known.get(9, 9)), (None, Some('d')), "the oldest is forgotten");
    }
}
