//! Sessions in a program's hands, on the running kernel, in ways that a command line never uses.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    collections::BTreeSet,
    env, fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use tcptrace::{
    recording::Target,
    session::{Ending, Error, Interest, Notice, OnFull, Outcome, Record, Records, Session, Settings},
};
use tcptrace_common::Filter;
use tcptrace_core::{
    capture::Reader,
    diagnosis::detect,
    model::{
        ports::PortSet, socket_filter::SocketFilter, state::State, stats::Stats, transition::Transition,
    },
};

/// Whether the kernel lets this process trace.
fn may_trace(name: &str) -> bool {
    let is_root = nix::unistd::Uid::effective().is_root();
    if !is_root {
        assert!(
            env::var("TCPTRACE_REQUIRE_ALL").as_deref() != Ok("1"),
            "{name} cannot run here: it needs root"
        );
        let _ = writeln!(std::io::stderr(), "SKIPPED: {name}: needs root");
    }
    is_root
}

/// A listener on a port of its own, with a filter for its connections alone.
struct Server {
    listener: TcpListener,
    port: u16,
}

impl Server {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        Self { listener, port }
    }

    /// Sockets whose local port is this one.
    fn filter(&self) -> SocketFilter {
        let mut lports = PortSet::new();
        lports.insert(self.port..=self.port);
        SocketFilter { lports: Some(lports), ..SocketFilter::default() }
    }

    /// A connection that the client closes first, and then the server.
    fn serve(&self) {
        let client = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let (mut server, _) = self.listener.accept().unwrap();
        drop(client);
        assert_eq!(server.read(&mut [0]).unwrap(), 0);
    }
}

/// New states of the sockets of a served connection, in their order.
const SERVED: [State; 5] =
    [State::SYN_RECV, State::ESTABLISHED, State::CLOSE_WAIT, State::LAST_ACK, State::CLOSE];

fn transition(record: Record) -> Option<Transition> {
    if let Record::Transition(transition) = record { Some(transition) } else { None }
}

/// The next `count` transitions.
fn transitions(records: &mut Records, count: usize) -> Vec<State> {
    let next = std::iter::from_fn(|| records.wait());
    next.filter_map(transition).take(count).map(|transition| transition.event.new_state).collect()
}

#[track_caller]
fn assert_complete(outcome: &Outcome) {
    let summary = &outcome.summary;
    assert_eq!(summary.lost.total(), 0, "{summary:?}");
    assert!(matches!(outcome.output, Ending::Complete) && outcome.recording.is_ok());
    assert!(outcome.subscribers.iter().all(|account| account.lost == 0), "{:?}", outcome.subscribers);
}

/// A session neither builds a runtime where there is one, nor blocks it: on a runtime with one thread, a server and its
/// client are tasks.
#[tokio::test(flavor = "current_thread")]
async fn it_works_inside_a_runtime() {
    if !may_trace("it_works_inside_a_runtime") {
        return;
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = Server { listener: TcpListener::bind("127.0.0.1:0").unwrap(), port };
    let mut plan = Session::live(Settings::default()).filter(server.filter());
    let mut records = plan.subscribe("task", Interest::TRANSITIONS, OnFull::Count);
    let session = plan.start().unwrap();
    let accepted = tokio::spawn(async move { (listener.accept().await.unwrap().0, listener) });
    let client = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (accepted, _listener) = accepted.await.unwrap();
    drop(client);
    accepted.readable().await.unwrap();
    drop(accepted);
    let mut states = Vec::new();
    while states.len() < SERVED.len() {
        states.extend(records.recv().await.and_then(transition).map(|it| it.event.new_state));
    }
    assert_eq!(states, SERVED);
    session.handle().stop();
    session.handle().ended().await;
    assert_complete(&session.join().unwrap());
    assert!(matches!(records.recv().await, Some(Record::Summary(_))), "the account comes last");
    assert!(records.recv().await.is_none());
}

/// Detectors would take transitions that a filter on states hides for ones that did not happen.
#[test]
fn detectors_behind_a_filter_on_states_are_refused() {
    let filter = Filter { states: 1 << State::CLOSE_WAIT.0, ..Filter::NONE };
    let filter = SocketFilter { filter, ..SocketFilter::default() };
    let plan = Session::live(Settings::default()).filter(filter).detect(detect::Options::default());
    assert!(matches!(plan.start(), Err(Error::StatesHidden)));
}

/// Each session has its own programs in the kernel, its own filter and its own end.
#[test]
fn two_of_them_do_not_meet() {
    if !may_trace("two_of_them_do_not_meet") {
        return;
    }
    let servers = [Server::new(), Server::new()];
    let started = servers.each_ref().map(|server| {
        let mut plan = Session::live(Settings::default()).filter(server.filter());
        let records = plan.subscribe("test", Interest::TRANSITIONS, OnFull::Count);
        (plan.start().unwrap(), records)
    });
    servers.iter().for_each(Server::serve);
    let [(first, mut of_first), (second, mut of_second)] = started;
    assert_eq!(transitions(&mut of_first, 5), SERVED);
    drop(first);
    servers.iter().for_each(Server::serve);
    let states = transitions(&mut of_second, 10);
    assert_eq!(states, [SERVED, SERVED].concat(), "the other one goes on");
    assert!(of_first.all(|record| matches!(record, Record::Summary(_))), "nothing of others");
    second.handle().stop();
    assert_complete(&second.join().unwrap());
}

/// The handle narrows the filter, widens it again, and adds subscribers, which get the records from then on.
#[test]
fn the_handle_changes_what_comes() {
    if !may_trace("the_handle_changes_what_comes") {
        return;
    }
    let (server, other) = (Server::new(), Server::new());
    let mut both = server.filter();
    both.lports.as_mut().unwrap().insert(other.port..=other.port);
    let mut plan = Session::live(Settings::default()).filter(both.clone());
    let mut first = plan.subscribe("first", Interest::CONNECTIONS, OnFull::Wait);
    let session = plan.start().unwrap();
    let handle = session.handle();
    let mut port = || first.by_ref().find_map(transition).unwrap().event.flow.local.port;
    server.serve();
    assert_eq!(port(), server.port);
    handle.set_filter(other.filter());
    // The change takes effect before the ring is read for the next time.
    let later = handle.subscribe("later", Interest::CONNECTIONS, OnFull::Count);
    server.serve();
    other.serve();
    assert_eq!(port(), other.port, "what the filter excludes does not come");
    handle.set_filter(both);
    server.serve();
    assert_eq!(port(), server.port);
    handle.stop();
    let outcome = session.join().unwrap();
    let ports: Vec<u16> = later.filter_map(transition).map(|end| end.event.flow.local.port).collect();
    assert_eq!(ports, [other.port, server.port]);
    let summary = &outcome.summary;
    assert_eq!((summary.delivered, summary.lost.total()), (15, 0), "{summary:?}");
    let names: Vec<&str> = outcome.subscribers.iter().map(|account| account.name.as_ref()).collect();
    assert_eq!(names, ["first", "later"]);
}

/// Statistics come while the session runs, and count all transitions of the test. They count those of other processes,
/// too.
#[test]
fn statistics_count_while_it_runs() {
    if !may_trace("statistics_count_while_it_runs") {
        return;
    }
    let server = Server::new();
    let mut plan = Session::live(Settings::default()).filter(server.filter());
    let stats = plan.subscribe("stats", Interest::STATS, OnFull::Count);
    let session = plan.start().unwrap();
    (0..100).for_each(|_| server.serve());
    let ends = |stats: &Stats| {
        stats.counted.counters.seen[usize::from(State::LAST_ACK.0)][usize::from(State::CLOSE.0)]
    };
    let stats = stats
        .take(40)
        .filter_map(|record| if let Record::Stats(stats) = record { Some(stats) } else { None });
    let complete = stats.into_iter().find(|stats| ends(stats) >= 100).expect("all of them are counted");
    assert_eq!(complete.lost.total(), 0);
    let last = session.handle().stats().unwrap();
    assert!(ends(&last) >= 100 && last.ktime_ns >= complete.ktime_ns, "the handle has the last ones");
    session.handle().stop();
    let outcome = session.join().unwrap();
    assert_eq!((outcome.summary.delivered, outcome.summary.lost.total()), (500, 0));
}

/// Notices are handed over, and a replay has the same records as the trace.
#[test]
fn a_replay_has_the_records_of_the_trace() {
    if !may_trace("a_replay_has_the_records_of_the_trace") {
        return;
    }
    let (server, folder) = (Server::new(), tempfile::TempDir::new().unwrap());
    let path = folder.path().join("capture");
    let notices = Arc::new(Mutex::new(Vec::new()));
    let theirs = Arc::clone(&notices);
    let target = Target { path: path.clone(), max_bytes: None, keep: 0, anonymize: false };
    let mut plan = Session::live(Settings::default())
        .filter(server.filter())
        .record(target)
        .notices(move |notice| theirs.lock().unwrap().push(notice));
    let live = plan.subscribe("live", Interest::TRANSITIONS, OnFull::Count);
    let session = plan.start().unwrap();
    (0..20).for_each(|_| server.serve());
    session.handle().stop();
    assert_complete(&session.join().unwrap());
    let live = shown(live);
    assert_eq!(live.len(), 100);
    let notices = notices.lock().unwrap();
    let is_begun =
        |notice: &&Notice| matches!(notice, Notice::Begun { recording: Some(to), .. } if *to == path);
    assert_eq!(notices.iter().filter(is_begun).count(), 1, "{notices:?}");
    // More records than a queue holds, for a slow subscriber: a replay waits.
    let mut plan = Session::replay(Settings::default(), Reader::open(&path).unwrap());
    let records = plan.subscribe("replay", Interest::TRANSITIONS, OnFull::Wait);
    let session = plan.start().unwrap();
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(shown(records), live);
    let outcome = session.join().unwrap();
    assert_complete(&outcome);
    assert_eq!(outcome.damage, None);
}

fn shown(records: Records) -> Vec<String> {
    records.filter_map(transition).map(|it| format!("{it:?}")).collect()
}

/// Captures need no privilege, and a program that stops reading one does not hang.
#[test]
fn a_replay_can_be_stopped() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/a_burst_of_clients.capture");
    let mut plan = Session::replay(Settings::default(), Reader::open(&path).unwrap());
    let mut records = plan.subscribe("one", Interest::TRANSITIONS, OnFull::Wait);
    let session = plan.start().unwrap();
    assert!(records.wait().is_some());
    session.handle().stop();
    drop(records);
    let outcome = session.join().unwrap();
    assert_eq!(outcome.damage, None, "it is what was asked for");
    let [account] = &outcome.subscribers[..] else { panic!("{:?}", outcome.subscribers) };
    assert!(account.has_ended, "{account:?}");
}

/// A library leaves the settings of the process to the program: signals, priority, standard output.
#[test]
fn the_process_stays_as_it_is() {
    if !may_trace("the_process_stays_as_it_is") {
        return;
    }
    let status = || {
        let text = fs::read_to_string("/proc/self/status").unwrap();
        let is_of_signals = |line: &&str| line.starts_with("SigCgt:") || line.starts_with("SigIgn:");
        text.lines().filter(is_of_signals).map(str::to_owned).collect::<Vec<_>>()
    };
    let niceness = || {
        let of_thread = |task: fs::DirEntry| {
            let stat = fs::read_to_string(task.path().join("stat")).ok()?;
            stat.rsplit_once(") ")?.1.split(' ').nth(16).map(str::to_owned)
        };
        fs::read_dir("/proc/self/task").unwrap().flatten().filter_map(of_thread).collect::<BTreeSet<_>>()
    };
    let before = (status(), niceness());
    let session = Session::live(Settings::default()).filter(Server::new().filter()).start().unwrap();
    assert_eq!((status(), niceness()), before);
    drop(session);
    assert_eq!((status(), niceness()), before);
}
