//! The thread that answers the pipeline's questions about the host: processes, network devices, and ends of processes.
//! Records wait for the answers, but not for long.

use std::{
    collections::VecDeque,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    thread,
};

use tcptrace_core::{
    model::input::{Answer, Exit, Input},
    pipeline::Question,
};

use super::{identities::Identities, watch::Watch};
use crate::{scan::snapshot, sys::clock::monotonic_ns};

/// Nanoseconds that records wait for an answer, of this thread or of the scanner. After that the answer is unknown.
pub(super) const WAIT_NS: u64 = 500_000_000;

/// Questions that are answered at a time: their records wait for each other.
const BATCH: usize = 64;

/// Batches that may wait for the thread. Questions beyond that have no answer.
const BATCHES: usize = 256;

/// The thread. When this is dropped, the thread ends after its current batch.
pub(super) struct ResolverThread {
    questions: SyncSender<Batch>,
    answers: Receiver<Answered>,
    /// Batches without an answer so far, in the order in which they were sent.
    waiting: VecDeque<Waiting>,
    /// How many batches were sent.
    sent: u64,
    /// Answers "unknown" to the questions that found the queue full.
    refused: Vec<Input<'static>>,
}

struct Batch {
    number: u64,
    asked_ns: u64,
    questions: Vec<Question>,
}

struct Answered {
    number: u64,
    answers: Vec<Input<'static>>,
}

/// A batch whose answers are awaited. Times are nanoseconds of `CLOCK_MONOTONIC`.
struct Waiting {
    number: u64,
    asked_ns: u64,
    /// Time of the oldest record.
    ktime_ns: u64,
    questions: Vec<Question>,
}

impl ResolverThread {
    /// Starts the thread, with the priority of the calling one. `watch` reads processes as they come.
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) fn start(watch: Option<Watch>) -> io::Result<Self> {
        let (questions, queue) = sync_channel(BATCHES);
        let (give, answers) = channel();
        let work = move || serve(&mut Identities::new(watch), &queue, &give);
        thread::Builder::new().name("resolver".to_owned()).spawn(work)?;
        Ok(Self { questions, answers, waiting: VecDeque::new(), sent: 0, refused: Vec::new() })
    }

    /// Sends questions, at this time. Those of the oldest records go first.
    pub(super) fn ask(&mut self, mut questions: Vec<Question>, now_ns: u64) {
        questions.sort_by_key(|question| ktime_ns(question, now_ns));
        for some in questions.chunks(BATCH) {
            let Some(first) = some.first() else { return };
            let (number, questions) = (self.sent, some.to_vec());
            let batch = Batch { number, asked_ns: now_ns, questions: questions.clone() };
            if self.questions.try_send(batch).is_err() {
                self.refused.extend(unknown(&questions));
                continue;
            }
            let ktime_ns = ktime_ns(first, now_ns);
            self.waiting.push_back(Waiting { number, asked_ns: now_ns, ktime_ns, questions });
            self.sent += 1;
        }
    }

    /// The answers since the last call. Questions that were sent too long ago by this time, or found the queue full,
    /// have the answer "unknown": a late answer may be about another process.
    pub(super) fn answers(&mut self, now_ns: u64) -> Vec<Input<'static>> {
        let mut all = std::mem::take(&mut self.refused);
        for Answered { number, answers } in self.answers.try_iter() {
            // Answers come in the order of the questions. Batches before this one have no answer.
            while let Some(batch) = self.waiting.pop_front_if(|batch| batch.number < number) {
                all.extend(unknown(&batch.questions));
            }
            // An answer that is too late is dropped: records have gone on without it.
            if self.waiting.pop_front_if(|batch| batch.number == number).is_some() {
                all.extend(answers);
            }
        }
        while let Some(batch) = self.waiting.pop_front_if(|batch| now_ns >= batch.asked_ns + WAIT_NS) {
            all.extend(unknown(&batch.questions));
        }
        all
    }

    /// Whether an answer is still to come.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The time of the oldest record that waits, nanoseconds of `CLOCK_MONOTONIC`.
    pub(super) fn first_waiting(&self) -> Option<u64> {
        self.waiting.iter().map(|batch| batch.ktime_ns).min()
    }
}

/// The time from which on records wait for the answer. A process that has ended may have lived until the question, so
/// older records do not wait for its end.
fn ktime_ns(question: &Question, now_ns: u64) -> u64 {
    match question {
        Question::Process { ktime_ns, .. } | Question::Device { ktime_ns, .. } => *ktime_ns,
        Question::Exit(_) => now_ns,
    }
}

/// The answer "unknown"; `None` to a question about the end of a process, which has no such answer.
fn unknown(questions: &[Question]) -> impl Iterator<Item = Input<'static>> + use<'_> {
    questions.iter().filter_map(|question| match *question {
        Question::Process { pid, ktime_ns, .. } => {
            Some(Input::Process(Answer { from_ns: ktime_ns, key: pid, value: None }))
        }
        Question::Device { netns, ifindex, ktime_ns } => {
            Some(Input::Device(Answer { from_ns: ktime_ns, key: (netns, ifindex), value: None }))
        }
        Question::Exit(_) => None,
    })
}

/// Answers until no thread asks any more, or no thread takes the answers.
fn serve(identities: &mut Identities, queue: &Receiver<Batch>, give: &Sender<Answered>) {
    for Batch { number, asked_ns, questions } in queue {
        // Records do not wait for these answers any more, but for those of later batches.
        if monotonic_ns() >= asked_ns + WAIT_NS {
            continue;
        }
        // A panic in one batch does not stop the others.
        let all = AssertUnwindSafe(|| {
            questions.iter().filter_map(|question| answer(identities, question)).collect()
        });
        let answers = catch_unwind(all).unwrap_or_else(|_| unknown(&questions).collect());
        if give.send(Answered { number, answers }).is_err() {
            return;
        }
    }
}

/// The answer; `None` to a question about the end of a process that lives.
fn answer(identities: &mut Identities, question: &Question) -> Option<Input<'static>> {
    match *question {
        Question::Process { pid, comm, ktime_ns } => {
            let value = identities.process(pid, comm.as_ref(), ktime_ns);
            Some(Input::Process(Answer { from_ns: ktime_ns, key: pid, value }))
        }
        Question::Device { netns, ifindex, ktime_ns } => {
            let value = snapshot::name_of(ifindex);
            Some(Input::Device(Answer { from_ns: ktime_ns, key: (netns, ifindex), value }))
        }
        Question::Exit(process) => {
            let has_ended = identities.has_ended(process.0, process.1);
            // Nothing shows when it ended: it may have lived at any event so far.
            has_ended.then(|| Input::Exited(Exit { process, by_ns: monotonic_ns() }))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn process(pid: u32, ktime_ns: u64) -> Question {
        Question::Process { pid, comm: None, ktime_ns }
    }

    /// A resolver without the thread: the test takes batches out of the queue.
    fn stalled() -> (ResolverThread, Receiver<Batch>, Sender<Answered>) {
        let (questions, queue) = sync_channel(BATCHES);
        let (give, answers) = channel();
        (
            ResolverThread { questions, answers, waiting: VecDeque::new(), sent: 0, refused: Vec::new() },
            queue,
            give,
        )
    }

    fn answers(resolver: &mut ResolverThread) -> Vec<Input<'static>> {
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut all = Vec::new();
        while resolver.is_waiting() && Instant::now() < deadline {
            all.extend(resolver.answers(monotonic_ns()));
            thread::sleep(Duration::from_millis(1));
        }
        all
    }

    /// How many answers there are, all of which say "unknown".
    fn unknown_of(answers: &[Input<'_>]) -> usize {
        let is_unknown = |answer: &Input<'_>| matches!(answer, Input::Process(Answer { value: None, .. }));
        assert!(answers.iter().all(is_unknown), "{answers:?}");
        answers.len()
    }

    #[test]
    fn it_says_what_processes_and_devices_are() {
        let mut resolver = ResolverThread::start(None).expect("a thread");
        let (now_ns, pid) = (monotonic_ns(), std::process::id());
        let device = |ifindex| Question::Device { netns: 7, ifindex, ktime_ns: now_ns };
        resolver.ask(vec![process(pid, now_ns), device(1), device(u32::MAX), process(0, now_ns)], now_ns);
        assert_eq!(resolver.first_waiting(), Some(now_ns));
        let answers = answers(&mut resolver);
        let [Input::Process(one), Input::Device(lo), Input::Device(none), Input::Process(nobody)] =
            &answers[..]
        else {
            panic!("{answers:?}")
        };
        assert_eq!((one.key, one.from_ns), (pid, now_ns));
        assert_eq!(one.value.as_ref().map(|process| process.pid), Some(pid));
        // The loopback is the first device of every namespace.
        assert_eq!((lo.key, lo.value.as_deref()), ((7, 1), Some("lo")));
        assert_eq!((none.value.as_ref(), nobody.value.as_ref()), (None, None));
    }

    /// Records wait in the ring: an event may be older than the end that is found when its turn comes.
    #[test]
    fn an_end_is_known_from_when_it_was_found() {
        let mut resolver = ResolverThread::start(None).expect("a thread");
        let mut child = std::process::Command::new("true").spawn().expect("a process");
        let ended = (child.id(), None);
        child.wait().expect("its end");
        let before_ns = monotonic_ns();
        let lives = (std::process::id(), None);
        resolver.ask(vec![Question::Exit(ended), Question::Exit(lives)], before_ns);
        assert_eq!(resolver.first_waiting(), Some(before_ns), "older records need not wait");
        let answers = answers(&mut resolver);
        let [Input::Exited(exit)] = &answers[..] else { panic!("{answers:?}") };
        assert_eq!(exit.process, ended);
        assert!((before_ns..=monotonic_ns()).contains(&exit.by_ns));
    }

    #[test]
    fn records_wait_for_the_oldest_question_but_not_for_long() {
        let (mut resolver, queue, give) = stalled();
        resolver.ask((0..200).map(|number| process(number, 1_000 - u64::from(number))).collect(), 1_000);
        resolver.ask(vec![process(7, 2_000)], 2_000);
        assert_eq!(resolver.first_waiting(), Some(801));
        let batch = queue.recv().expect("a batch");
        assert_eq!(batch.questions.len(), BATCH);
        assert_eq!(ktime_ns(&batch.questions[0], 0), 801, "the oldest first");
        give.send(Answered { number: batch.number, answers: Vec::new() }).expect("who takes it");
        assert_eq!(unknown_of(&resolver.answers(2_000)), 0);
        assert_eq!(resolver.first_waiting(), Some(801 + BATCH as u64));
        assert_eq!(unknown_of(&resolver.answers(1_000 + WAIT_NS)), 200 - BATCH);
        assert_eq!(resolver.first_waiting(), Some(2_000));
        assert_eq!(unknown_of(&resolver.answers(2_000 + WAIT_NS)), 1);
        assert_eq!(resolver.first_waiting(), None);
        // An answer that comes after all is dropped.
        let late = Input::Process(Answer { from_ns: 1, key: 7, value: None });
        give.send(Answered { number: batch.number + 1, answers: vec![late] }).expect("who takes it");
        assert_eq!(unknown_of(&resolver.answers(2_000 + WAIT_NS)), 0);
    }

    #[test]
    fn what_does_not_fit_or_comes_too_late_is_unknown() {
        let (mut resolver, queue, give) = stalled();
        resolver.ask(vec![process(7, 1); BATCH * (BATCHES + 1)], 1);
        assert_eq!(resolver.waiting.len(), BATCHES);
        resolver.questions = sync_channel(1).0;
        serve(&mut Identities::new(None), &queue, &give);
        // By the real clock their time is over.
        assert_eq!(unknown_of(&resolver.answers(2)), BATCH, "those that did not fit");
        assert_eq!(unknown_of(&resolver.answers(1 + WAIT_NS)), BATCH * BATCHES);
        resolver.ask(vec![process(7, 2)], 2);
        assert!(!resolver.is_waiting(), "there is no thread for them");
        assert_eq!(unknown_of(&resolver.answers(2)), 1);
    }
}
