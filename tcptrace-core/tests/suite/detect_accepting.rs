//! Detectors on made-up listeners: whose queue overflows, who should accept, and who waits.

use tcptrace_core::{
    diagnosis::detect::{Ages, Detectors, Options, Sample, Seen},
    model::{
        finding::{Finding, Level, Severity},
        limits::Limits,
        namespace::NamespaceSample,
        process::Condition,
        socket::Info,
        state::State,
        transition::Transition,
    },
    pipeline::tracker::{self, Tracker},
};

use crate::common::shown::{Show as _, Shown};
use crate::common::{
    by_process, event,
    scans::{self, INFO, SECOND, scan, socket, who},
};

/// But for listeners, which are new in each test.
fn findings(scans: impl IntoIterator<Item = Sample>) -> Vec<Finding> {
    let all = scans::findings(scans).into_iter();
    all.filter(|finding| finding.id != "unexpected-listener").collect()
}

/// A listener on 192.0.2.1:80 with a backlog of 4.
fn listener(cookie: u64, pids: &[u32], waiting: u32, drops: u32) -> Seen {
    let mut seen = socket(State::LISTEN, 0, 0);
    let socket = &mut seen.socket;
    (socket.cookie, socket.flow.remote.port, socket.drops) = (cookie, 0, Some(drops));
    (socket.recv_queue, socket.send_queue) = (waiting, 4);
    seen.owners = pids.iter().map(|pid| who(*pid)).collect();
    seen
}

/// A client's connection that nobody has accepted, with a request in it, for so many seconds.
fn waiting(number: u16, age_s: u64) -> Seen {
    let mut seen = socket(State::ESTABLISHED, number, 0);
    (seen.socket.inode, seen.socket.recv_queue) = (None, 100);
    seen.socket.age_at_least_ns = Some(age_s * SECOND);
    seen.owners = [].into();
    seen
}

/// The same, accepted by a process.
fn accepted(number: u16, pid: u32) -> Seen {
    let mut seen = socket(State::ESTABLISHED, number, pid);
    seen.socket.info = Some(Info { bytes_acked: u64::from(number), ..INFO });
    seen
}

/// Counts `ListenOverflows` and `ListenDrops` of the namespace by then.
fn at(at_s: u64, [overflows, drops]: [u64; 2], sockets: Vec<Seen>) -> Sample {
    let counters = [("ListenOverflows".to_owned(), overflows), ("ListenDrops".to_owned(), drops)].into();
    let limits = Limits { somaxconn: Some(4_096), abort_on_overflow: Some(false), ..Limits::default() };
    let namespace = NamespaceSample { counters, limits, ..NamespaceSample::default() };
    Sample { namespaces: [(Some(1), namespace)].into(), ..scan(at_s, sockets) }
}

fn of_kind(id: &str, scans: impl IntoIterator<Item = Sample>) -> Vec<Finding> {
    let all = findings(scans).into_iter();
    all.filter(|finding| finding.id == id).collect()
}

fn pids(finding: &Finding) -> Vec<u32> {
    finding.owners.iter().map(|who| who.pid).collect()
}

fn steps(finding: &Finding) -> String {
    finding.next_steps.iter().map(|step| step.what.as_str()).collect::<Vec<_>>().join("\n")
}

/// The first act of process `pid` on a connection to port 80: it closes it.
fn closes(pid: u32) -> Shown {
    let event = event(1, SECOND, State::ESTABLISHED, State::FIN_WAIT1);
    let mut event = by_process(pid, b"worker", event);
    (event.flow.netns, event.flow.local.port) = (Some(1), 80);
    let mut all = Vec::new();
    Tracker::new(tracker::Options::default())
        .track(&mut Transition::of(event), |transition| all.push(transition.clone()));
    Shown::Transition(all.remove(0))
}

fn diagnose(records: Vec<Shown>) -> Vec<Finding> {
    let (mut detectors, mut ages) = (Detectors::new(Options::default()), Ages::default());
    for mut record in records {
        if let Shown::Sample(sample) = &mut record {
            ages.apply(sample);
        }
        detectors.show(&record);
    }
    detectors.findings().into_iter().filter(|finding| finding.id != "unexpected-listener").collect()
}

fn sample(sample: Sample) -> Shown {
    Shown::Sample(Box::new(sample))
}

/// Between two scans, of which none finds a full queue. By the last scan it is over.
#[test]
fn overflows_between_scans_count() {
    let queue = |at_s, counts, drops| at(at_s, counts, vec![listener(1, &[7], 0, drops)]);
    let found = of_kind(
        "accept-queue-overflow",
        [queue(0, [0, 0], 3), queue(5, [20, 20], 23), queue(20, [20, 20], 23)],
    );
    assert_eq!((found[0].severity, found[0].harm.as_ref().unwrap().count), (Severity::Warning, 20));
    let found = of_kind("accept-queue-overflow", [queue(0, [0, 0], 3), queue(5, [20, 20], 23)]);
    assert_eq!(found[0].severity, Severity::Critical, "just now");
}

/// A health check that resets its half-open connection counts as dropped at the listener, and nowhere else. It has no part in
/// another listener's overflows.
#[test]
fn resets_of_half_open_connections_are_no_overflows() {
    let scan = |at_s, [overflows, embryonic]: [u64; 2], drops: [u32; 2]| {
        let mut idle = listener(1, &[7], 0, drops[0]);
        idle.socket.flow.local.port = 8_080;
        let mut scan = at(at_s, [overflows, overflows], vec![idle, listener(2, &[9], 0, drops[1])]);
        let namespace = scan.namespaces.get_mut(&Some(1)).unwrap();
        namespace.counters.insert("EmbryonicRsts".to_owned(), embryonic);
        scan
    };
    let scans = [scan(0, [0, 0], [0, 0]), scan(5, [116, 7], [7, 116]), scan(10, [116, 7], [7, 116])];
    let found = of_kind("accept-queue-overflow", scans);
    assert_eq!(found.iter().map(pids).collect::<Vec<_>>(), [[9]], "{found:#?}");
    assert_eq!(found[0].harm.as_ref().unwrap().count, 109, "what is sure");
    assert!(found[0].summary.contains("overflowed between two scans"), "{}", found[0].summary);
}

/// Most of those who waited have failed by now.
#[test]
fn clients_that_have_given_up_make_it_critical() {
    let severity = |gone: u16| {
        let queue = |at_s: u64| {
            let closed = |number| {
                let mut seen = waiting(number, 20);
                seen.socket.state = if number < gone { State::CLOSE_WAIT } else { State::ESTABLISHED };
                seen
            };
            let waiting = (0..3).map(closed).chain([listener(100, &[7], 3, 0)]);
            at(at_s, [0, 0], waiting.collect())
        };
        of_kind("nobody-accepts", [queue(0), queue(15)])[0].severity
    };
    assert_eq!([0, 1, 2].map(severity), [Severity::Warning, Severity::Warning, Severity::Critical]);
}

/// SYNs that a flooded listener drops are no overflows, and another listener's are not its.
#[test]
fn drops_of_a_flood_are_no_overflows() {
    let queues = |at_s, counts, drops: [u32; 2]| {
        let mut other = listener(2, &[8], 0, drops[1]);
        other.socket.flow.local.port = 81;
        at(at_s, counts, vec![listener(1, &[7], 0, drops[0]), other])
    };
    let found = |counts, drops: [u32; 2]| {
        let scans = [queues(0, [0, 0], [0, 0]), queues(5, counts, drops), queues(10, counts, drops)];
        let found = of_kind("accept-queue-overflow", scans);
        found.iter().map(|found| (pids(found)[0], found.harm.as_ref().unwrap().count)).collect::<Vec<_>>()
    };
    assert_eq!(found([0, 500], [500, 0]), [], "a flood");
    assert_eq!(found([20, 520], [500, 20]), [(7, 0); 0], "whose they are is not sure");
    assert_eq!(found([500, 520], [500, 20]), [(7, 480)], "these at least");
    assert_eq!(found([20, 20], [0, 20]), [(8, 20)]);
}

/// With `SO_REUSEPORT` each socket has its own queue, drops and program.
#[test]
fn only_the_worker_that_does_not_accept_is_blamed() {
    let sockets = |at_s, stuck_drops| {
        let good = (1..4).map(|worker| listener(worker, &[u32::try_from(worker).unwrap()], 0, 0));
        at(
            at_s,
            [stuck_drops; 2],
            good.chain([listener(4, &[4], 5, u32::try_from(stuck_drops).unwrap())]).collect(),
        )
    };
    let found = of_kind("accept-queue-overflow", [sockets(0, 0), sockets(5, 30), sockets(10, 60)]);
    assert_eq!(found.len(), 1);
    assert_eq!(pids(&found[0]), [4]);
    assert!(found[0].summary.contains("(one of 4 sockets there)"), "{}", found[0].summary);
    assert!(found[0].subject.ends_with("socket sk:4"), "{}", found[0].subject);
}

/// A parent that keeps the listener of its workers accepts nothing.
#[test]
fn who_accepts_comes_before_who_holds_the_listener() {
    let queue = |at_s: u64, more: Vec<Seen>| {
        let drops = u32::try_from(at_s).unwrap();
        sample(at(at_s, [at_s; 2], [vec![listener(1, &[7, 8], 5, drops)], more].concat()))
    };
    let first = |records| pids(&diagnose(records)[0]);
    assert_eq!(first(vec![queue(0, vec![]), queue(5, vec![])]), [7, 8], "nobody knows");
    assert_eq!(first(vec![queue(0, vec![]), closes(8), queue(5, vec![])]), [8, 7], "it has acted");
    assert_eq!(
        first(vec![queue(0, vec![]), queue(5, vec![accepted(50, 8)])]),
        [8, 7],
        "it has what was accepted"
    );
    let client = |mut seen: Seen| {
        seen.socket.flow.local.port = 40_000;
        seen
    };
    assert_eq!(first(vec![queue(0, vec![]), queue(5, vec![client(accepted(50, 8))])]), [7, 8], "a client's");
}

/// A condition of process 8, which accepts.
fn with_condition(condition: Condition) -> Finding {
    let queue = |at_s: u64| {
        let drops = u32::try_from(at_s).unwrap();
        let sockets = vec![listener(1, &[7, 8], 5, drops), accepted(50, 8)];
        let processes = [(8, condition), (7, Condition::default())].into();
        Sample { processes, ..at(at_s, [at_s; 2], sockets) }
    };
    findings([queue(0), queue(5)]).remove(0)
}

/// A longer backlog helps neither.
#[test]
fn what_keeps_a_program_from_accepting_comes_first() {
    let descriptors =
        |used| Condition { descriptors: Some(used), descriptor_limit: Some(16), stopped: Some(false) };
    let found = with_condition(descriptors(16));
    assert!(found.summary.contains("16 of 16 descriptors are open"), "{}", found.summary);
    assert!(
        found.next_steps[0].what.contains("EMFILE") && !steps(&found).contains("backlog of"),
        "{found:#?}"
    );
    let found = with_condition(Condition { stopped: Some(true), ..descriptors(16) });
    assert!(found.summary.contains("is stopped"), "{}", found.summary);
    assert_eq!(found.next_steps[0].command.as_deref(), Some("kill -CONT 8"));
    let found = with_condition(descriptors(15));
    assert!(found.summary.contains("does not accept fast enough"), "{}", found.summary);
    assert!(steps(&found).contains("net.core.somaxconn allows 4096"), "it caps nothing: {found:#?}");
}

/// Though the queue is far from full.
#[test]
fn clients_that_wait_are_a_finding() {
    let queue = |at_s: u64, age_s: u64| {
        let children = (10..12).map(|number| waiting(number, age_s));
        at(at_s, [0, 0], [listener(1, &[7], 2, 0)].into_iter().chain(children).collect())
    };
    assert_eq!(findings([queue(0, 0), queue(9, 9)]), [], "for moments");
    let found = findings([queue(0, 0), queue(5, 5), queue(10, 10)]).remove(0);
    assert_eq!((found.id, found.severity), ("nobody-accepts", Severity::Warning));
    assert!(found.summary.contains("accepts nobody on 192.0.2.1:80"), "{}", found.summary);
    assert_eq!((found.harm.as_ref().unwrap().count, pids(&found)), (2, vec![7]));
    let found = findings([queue(100, 30)]).remove(0);
    assert_eq!(found.id, "nobody-accepts", "as old as the kernel tells");
}

/// Never empty, and nobody in it for long.
#[test]
fn a_queue_that_turns_over_is_none() {
    let queue = |at_s: u64, from: u16| {
        let children = (from..from + 2).map(|number| waiting(number, 0));
        let served = accepted(from + 100, 7);
        at(at_s, [0, 0], [listener(1, &[7], 2, 0), served].into_iter().chain(children).collect())
    };
    let records = (0..6_u16).flat_map(|scan| [sample(queue(u64::from(scan) * 5, 10 + 2 * scan)), closes(7)]);
    assert_eq!(diagnose(records.collect()), []);
}

/// A service that its manager starts at the first client (socket activation) accepts some seconds later.
#[test]
fn a_service_that_starts_late_is_none() {
    let begins = at(0, [0, 0], vec![listener(1, &[1], 1, 0), waiting(10, 1)]);
    let later = at(5, [0, 0], vec![listener(1, &[1], 1, 0), waiting(10, 6)]);
    let serves = at(12, [0, 0], vec![listener(1, &[1, 9], 0, 0), accepted(10, 9)]);
    assert_eq!(findings([begins, later, serves]), []);
}

/// What `TCP_DEFER_ACCEPT` defers is half-open still.
#[test]
fn a_deferred_client_does_not_wait() {
    let mut deferred = waiting(10, 30);
    (deferred.socket.state, deferred.socket.kind) =
        (State::SYN_RECV, tcptrace_core::model::socket::Kind::Request);
    assert_eq!(findings([at(0, [0, 0], vec![listener(1, &[7], 0, 0), deferred])]), []);
}

/// Clients that give up by a reset are in the queue, and not to be seen any more.
#[test]
fn a_queue_that_does_not_move_is_a_finding() {
    let queue = |at_s, length| at(at_s, [0, 0], vec![listener(1, &[7], length, 0)]);
    assert_eq!(findings([queue(0, 1), queue(5, 2), queue(10, 2)])[0].id, "nobody-accepts");
    assert_eq!(findings([queue(0, 1), queue(5, 2), queue(10, 1)]), [], "it became shorter");
}

/// Of several sockets at one address, those whose queue has not been empty since the client came.
#[test]
fn clients_belong_to_the_socket_whose_queue_they_are_in() {
    let sockets = |at_s: u64, busy: u32| {
        let children = (10..13).map(|number| waiting(number, at_s));
        let both = [listener(1, &[7], busy, 0), listener(2, &[8], 3, 0)];
        at(at_s, [0, 0], both.into_iter().chain(children).collect())
    };
    let found = of_kind("nobody-accepts", [sockets(1, 1), sockets(6, 0), sockets(12, 1)]);
    assert_eq!(found.iter().map(pids).collect::<Vec<_>>(), [[8]]);
    assert_eq!((found[0].harm.as_ref().unwrap().count, found[0].confidence.level), (3, Level::High));
}

/// All workers of nginx have all of its sockets open. Of them the one that is stopped, or else that does nothing.
#[test]
fn of_shared_sockets_it_is_who_does_nothing() {
    let workers = &[5, 7, 8][..];
    let queue = |at_s: u64, stopped: bool| {
        let sockets = [listener(1, workers, 0, 0), listener(2, workers, 1, 0), waiting(10, at_s)];
        let held = [accepted(50, 7), accepted(51, 8)];
        let condition = Condition { stopped: Some(stopped), ..Condition::default() };
        let processes = [(7, condition)].into();
        sample(Sample { processes, ..at(at_s, [0, 0], sockets.into_iter().chain(held).collect()) })
    };
    for stopped in [true, false] {
        let records = vec![queue(0, stopped), closes(8), queue(6, stopped), closes(8), queue(12, stopped)];
        let found = diagnose(records);
        assert_eq!(found[0].id, "nobody-accepts");
        assert_eq!((pids(&found[0])[0], found[0].summary.contains("is stopped")), (7, stopped));
    }
}

/// Who waits in a queue that overflows is a part of that.
#[test]
fn an_overflow_and_who_waits_are_one_finding() {
    let queue = |at_s: u64| {
        let children = (10..15).map(|number| waiting(number, at_s));
        let drops = u32::try_from(at_s).unwrap();
        at(at_s, [at_s; 2], [listener(1, &[7], 5, drops)].into_iter().chain(children).collect())
    };
    let found = findings([queue(0), queue(12)]);
    assert_eq!(found.iter().map(|found| found.id).collect::<Vec<_>>(), ["accept-queue-overflow"]);
    assert_eq!(found[0].consequences[0].id, "nobody-accepts");
}
