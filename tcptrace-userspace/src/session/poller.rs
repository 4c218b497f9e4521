//! Polls, on a thread of their own: a namespace with many sockets takes milliseconds.

use std::{
    io,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use tcptrace_core::model::{
    dump::Gaps,
    half_open::{Connection, Pending, Poll},
    socket::{Kind, Socket},
    state::State,
};

use crate::scan::snapshot::{self, Netns, Request, Snapshot};

/// Asks the namespaces for their half-open connections.
pub(super) struct Poller {
    questions: SyncSender<()>,
    answers: Receiver<Answer>,
    /// An answer is to come.
    asked: bool,
}

/// A poll, and why it lacks something; or why there is none.
pub(super) type Answer = Result<(Poll, Option<String>), String>;

impl Poller {
    /// Starts the thread, which waits to be asked, and ends when this is dropped.
    ///
    /// # Errors
    /// There can be no thread.
    pub(super) fn start(wanted: Option<Netns>) -> io::Result<Self> {
        let (questions, asked) = sync_channel(1);
        let (answer, answers) = sync_channel(1);
        thread::Builder::new().name("poller".to_owned()).spawn(move || {
            let request = Request { netns: wanted, states: 1 << State::SYN_RECV.0 };
            for () in asked {
                let told = match snapshot::take(&request) {
                    Ok(snapshot) => Ok(poll(&snapshot)),
                    Err(error) => Err(error.to_string()),
                };
                if answer.send(told).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { questions, answers, asked: false })
    }

    /// Asks, unless an answer is still to come; whether it did.
    pub(super) fn ask(&mut self) -> bool {
        let asks = !self.asked && self.questions.try_send(()).is_ok();
        self.asked |= asks;
        asks
    }

    /// The answer, once it is there.
    pub(super) fn answer(&mut self) -> Option<Answer> {
        let answer = self.answers.try_recv().ok()?;
        self.asked = false;
        Some(answer)
    }
}

fn poll(snapshot: &Snapshot) -> (Poll, Option<String>) {
    let namespaces = &snapshot.namespaces;
    let begun = |netns| {
        let namespace = namespaces.iter().find(|namespace| namespace.inode == netns);
        namespace.map_or(0, |namespace| namespace.begin_ns)
    };
    // Fast open has full sockets in this state; their transitions are told.
    let requests = snapshot.sockets.iter().filter(|socket| socket.kind == Kind::Request);
    let poll = Poll {
        namespaces: namespaces.iter().map(|namespace| (namespace.inode, namespace.begin_ns)).collect(),
        end_ns: namespaces.iter().map(|namespace| namespace.end_ns).max().unwrap_or(0),
        pending: requests.map(|socket| pending(socket, begun(socket.netns))).collect(),
    };
    // A process whose namespace cannot be seen is in one of those, as a rule.
    let gaps = Gaps { unreadable_processes: 0, ..snapshot.gaps.clone() };
    (poll, (!gaps.is_empty()).then(|| gaps.to_string()))
}

/// `begun_ns`: before the kernel told how long its timer still runs.
fn pending(socket: &Socket, begun_ns: u64) -> Pending {
    let Socket { cookie, netns, laddr, lport, raddr, rport, .. } = *socket;
    Pending {
        connection: Connection { cookie, netns, laddr, lport, raddr, rport },
        retransmits: socket.timer.map_or(0, |timer| timer.retransmits.into()),
        fires_ns: socket.timer.map(|timer| begun_ns + u64::from(timer.expires_ms) * 1_000_000),
    }
}
