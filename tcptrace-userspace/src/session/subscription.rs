//! Subscriptions: bounded queues of records for parts of a program.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::sleep,
    time::Duration,
};

use tcptrace_core::{
    model::{record::Record, stats::SubscriberAccount},
    pipeline::{Interest, Subscriber},
};
use tokio::sync::mpsc::{Receiver, Sender, channel, error::TrySendError};

/// Records that may wait for a subscriber.
pub const QUEUE: usize = 4_096;

/// How long to wait for a full queue before the next check.
const WAIT: Duration = Duration::from_millis(1);

/// Policy of a queue that is full, since its subscriber is slower than the records come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFull {
    /// The record is lost for this subscriber, and counted.
    #[default]
    Count,
    /// The session waits for the subscriber. Once the session is stopped, this is [`Self::Count`]. During the wait
    /// nothing reads the ring buffer of a live session, and no time limit ends it. Records that do not fit into the
    /// ring are lost for all subscribers, and counted. For replays, and for subscribers that must not lose records that
    /// the ring could keep.
    Wait,
    /// The subscription ends: the subscriber gets the records in the queue, and nothing more.
    End,
}

/// The records of a subscription, in their order. Dropped, it ends the subscription.
#[derive(Debug)]
pub struct Records {
    queue: Receiver<Record>,
    lost: Arc<AtomicU64>,
}

impl Records {
    /// The next record; `None` after the last one. When the session ends, [`Record::Summary`] comes last, if it fits
    /// into the queue. It is the account before the wait for the output: [`Outcome::summary`](super::Outcome::summary)
    /// is the final one.
    pub async fn recv(&mut self) -> Option<Record> {
        self.queue.recv().await
    }

    /// As [`Self::recv`], for a thread, which waits for the record.
    ///
    /// # Panics
    /// On a thread that runs asynchronous tasks, which must not wait.
    pub fn wait(&mut self) -> Option<Record> {
        self.queue.blocking_recv()
    }

    /// The next record, if there is one now.
    pub fn ready(&mut self) -> Option<Record> {
        self.queue.try_recv().ok()
    }

    /// How many records this subscription has lost so far.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Acquire)
    }
}

/// For threads: the records of [`Records::wait`], until the last one.
impl Iterator for Records {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        self.wait()
    }
}

/// The session's end of a subscription.
pub(super) struct Subscription {
    name: Arc<str>,
    interest: Interest,
    on_full: OnFull,
    queue: Sender<Record>,
    delivered: u64,
    lost: Arc<AtomicU64>,
    /// Set once the session is stopped.
    is_stopping: Arc<AtomicBool>,
}

/// Makes both ends of a subscription of a session, which `is_stopping` ends.
pub(super) fn subscription(
    (name, interest, on_full): (&str, Interest, OnFull),
    is_stopping: &Arc<AtomicBool>,
) -> (Subscription, Records) {
    let (give, queue) = channel(QUEUE);
    let lost = Arc::new(AtomicU64::new(0));
    let records = Records { queue, lost: Arc::clone(&lost) };
    let (name, is_stopping) = (name.into(), Arc::clone(is_stopping));
    (Subscription { name, interest, on_full, queue: give, delivered: 0, lost, is_stopping }, records)
}

impl Subscription {
    /// Whether to wait for capacity in the queue. It does not once the session is stopped: the thread that stops it may
    /// be the one that takes the records.
    fn waits(&self) -> bool {
        self.on_full == OnFull::Wait && !self.is_stopping.load(Ordering::Acquire)
    }
}

impl Subscriber for Subscription {
    fn interest(&self) -> Interest {
        self.interest
    }

    fn take(&mut self, record: &Record) -> bool {
        let mut record = record.clone();
        loop {
            match self.queue.try_send(record) {
                Ok(()) => {
                    self.delivered += 1;
                    return true;
                }
                Err(TrySendError::Full(same)) if self.waits() => {
                    record = same;
                    sleep(WAIT);
                }
                Err(TrySendError::Full(_)) => {
                    self.lost.fetch_add(1, Ordering::Release);
                    return self.on_full != OnFull::End;
                }
                Err(TrySendError::Closed(_)) => return false,
            }
        }
    }

    fn has_gone(&self) -> bool {
        self.queue.is_closed()
    }

    fn account(&self) -> Option<SubscriberAccount> {
        Some(SubscriberAccount {
            name: Arc::clone(&self.name),
            delivered: self.delivered,
            lost: self.lost.load(Ordering::Acquire),
            has_ended: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU64, thread};

    use tcptrace_core::model::{loss::Lost, record::Loss};

    use super::*;

    fn record(ktime_ns: u64) -> Record {
        Record::Loss(Loss { ktime_ns, lost: Lost::default(), total: NonZeroU64::MIN })
    }

    fn times(records: Records) -> Vec<u64> {
        let time =
            |record| if let Record::Loss(loss) = record { loss.ktime_ns } else { panic!("{record:?}") };
        records.map(time).collect()
    }

    fn overfilled(on_full: OnFull) -> (Vec<bool>, SubscriberAccount, Records) {
        let (mut subscription, records) = subscription(("slow", Interest::LOSSES, on_full), &Arc::default());
        let goes_on = (0..QUEUE as u64 + 2).map(|time| subscription.take(&record(time))).collect();
        (goes_on, subscription.account().expect("it can lose some"), records)
    }

    #[test]
    fn what_finds_no_room_is_counted_for_both_ends() {
        let (goes_on, account, records) = overfilled(OnFull::Count);
        assert!(goes_on.iter().all(|goes_on| *goes_on));
        assert_eq!((account.delivered, account.lost, records.lost()), (QUEUE as u64, 2, 2));
        assert_eq!(times(records), (0..QUEUE as u64).collect::<Vec<_>>(), "the oldest are kept");
    }

    #[test]
    fn it_ends_where_that_was_asked_for() {
        let (goes_on, account, records) = overfilled(OnFull::End);
        assert_eq!(goes_on.iter().position(|goes_on| !goes_on), Some(QUEUE));
        assert!(account.lost > 0 && records.lost() > 0);
        assert_eq!(times(records).len(), QUEUE);
    }

    #[test]
    fn it_waits_where_nothing_may_be_lost() {
        let (mut subscription, records) =
            subscription(("slow", Interest::LOSSES, OnFull::Wait), &Arc::default());
        let reader = thread::spawn(move || {
            sleep(Duration::from_millis(20));
            times(records).len()
        });
        assert!((0..2 * QUEUE as u64).all(|time| subscription.take(&record(time))));
        drop(subscription);
        assert_eq!(reader.join().expect("it ends"), 2 * QUEUE);
    }

    /// A program that stops a session and waits for its end does not take its records meanwhile.
    #[test]
    fn it_waits_no_longer_than_the_session_goes_on() {
        let is_stopping = Arc::new(AtomicBool::new(true));
        let (mut subscription, records) =
            subscription(("slow", Interest::LOSSES, OnFull::Wait), &is_stopping);
        assert!((0..QUEUE as u64 + 2).all(|time| subscription.take(&record(time))));
        drop(subscription);
        assert_eq!((records.lost(), times(records).len()), (2, QUEUE));
    }

    #[test]
    fn who_goes_away_ends_it() {
        for on_full in [OnFull::Count, OnFull::Wait, OnFull::End] {
            let (mut subscription, records) =
                subscription(("gone", Interest::LOSSES, on_full), &Arc::default());
            drop(records);
            assert!(!subscription.take(&record(1)), "{on_full:?}");
        }
    }
}
