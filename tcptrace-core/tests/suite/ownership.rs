//! Whose a socket is: first the process that acted, then who holds it; and what becomes of that when a process ends.

use std::{net::Ipv4Addr, sync::Arc};

use tcptrace_core::{
    model::{
        event::Event,
        input::Exit,
        owner::{Owner, Provenance},
        process::Process,
        socket_dump::{Preexisting, Since},
        state::State,
        transition::Transition,
    },
    pipeline::tracker::{Options, Span, Tracker},
};

use crate::common::{Moved as _, by_process, comm, event, listens};

const FIN_WAIT1: State = State(4);

fn tracker() -> Tracker {
    Tracker::new(Options { limit: 100, ..Options::default() })
}

fn track(tracker: &mut Tracker, event: Event) -> Option<Owner> {
    let mut owner = None;
    tracker.track(&mut Transition::of(event), |told| owner = told.owner.as_deref().cloned());
    owner
}

fn process(pid: u32, name: &[u8], start_ticks: u64) -> Arc<Process> {
    Arc::new(Process {
        pid,
        start_ticks,
        comm: name.to_vec(),
        exe: Some([b"/bin/", name].concat()),
        exe_deleted: false,
        uid: 0,
        unit: None,
        container: None,
        netns: None,
    })
}

/// By a thread of the process 7 that has this id and name.
fn by_thread(tid: u32, name: &[u8], mut event: Event) -> Event {
    event = by_process(7, name, event);
    event.context.tid = tid;
    event
}

fn connects(skaddr: u64, ktime_ns: u64) -> Event {
    event(skaddr, ktime_ns, State::CLOSE, State::SYN_SENT)
}

fn child(skaddr: u64, ktime_ns: u64) -> Event {
    event(skaddr, ktime_ns, State::LISTEN, State::SYN_RECV)
}

/// `process` has had the socket open for the longest time, `others` too.
fn held(skaddr: u64, state: State, process: &Arc<Process>, others: &[u32]) -> Preexisting {
    let event = event(skaddr, 0, state, state);
    Preexisting {
        cookie: event.cookie,
        flow: event.flow,
        state,
        since: Since::AtLatest(1),
        dumped_ns: 100,
        role: None,
        owner: Some(Arc::new(Owner {
            pid: process.pid,
            uid: 0,
            comm: comm(&process.comm),
            provenance: Provenance::Snapshot,
            others: (!others.is_empty()).then(|| others.into()),
            process: Some(Arc::clone(process)),
        })),
        on_device: false,
    }
}

fn reconcile(tracker: &mut Tracker, listed: Vec<Preexisting>) {
    let span = Span { netns: event(1, 0, State::CLOSE, State::CLOSE).flow.netns, begin_ns: 100, end_ns: 110 };
    tracker.expect_dump();
    tracker.reconcile(listed, &[span], false);
}

#[test]
fn the_name_is_the_process_s_and_not_the_thread_s() {
    let mut tracker = tracker();
    let known = |event| Event { process: Some(process(7, b"server", 5)), ..event };
    let owner = track(&mut tracker, known(by_thread(9, b"iou-sqp-7", connects(1, 10)))).unwrap();
    assert_eq!((owner.pid, owner.comm), (7, comm(b"server")));
    // The main thread's is the process's, and newer than what was looked at.
    let owner = track(&mut tracker, known(by_thread(7, b"renamed", connects(2, 10)))).unwrap();
    assert_eq!(owner.comm, comm(b"renamed"));
}

#[test]
fn of_a_thread_of_an_unknown_process_no_name_is_better_than_a_wrong_one() {
    let mut tracker = tracker();
    let owner = track(&mut tracker, by_thread(9, b"tokio-runtime-w", connects(1, 10))).unwrap();
    assert_eq!((owner.pid, owner.name()), (7, None));
    // Unless the socket's last owner was the same process.
    track(&mut tracker, by_thread(7, b"server", connects(2, 10)));
    let owner = track(&mut tracker, by_thread(9, b"worker-1", event(2, 20, State::ESTABLISHED, FIN_WAIT1)));
    assert_eq!(owner.unwrap().comm, comm(b"server"));
}

#[test]
fn what_was_known_of_a_process_stays_with_its_sockets() {
    let mut tracker = tracker();
    let client = process(7, b"curl", 5);
    let connects =
        |skaddr| Event { process: Some(Arc::clone(&client)), ..by_thread(7, b"curl", connects(skaddr, 10)) };
    track(&mut tracker, connects(1));
    let closes = |skaddr, name: &[u8]| by_thread(7, name, event(skaddr, 20, State::ESTABLISHED, FIN_WAIT1));
    assert_eq!(track(&mut tracker, closes(1, b"curl")).unwrap().process, Some(Arc::clone(&client)));
    let last = track(&mut tracker, event(1, 30, FIN_WAIT1, State::CLOSE)).unwrap();
    assert_eq!(last.process, Some(Arc::clone(&client)), "with its last line, too");
    // It ran another program before it ended, of which nobody knows.
    track(&mut tracker, connects(2));
    assert_eq!(track(&mut tracker, closes(2, b"sleep")).unwrap().process, None);
    // Another process has its id now.
    track(&mut tracker, connects(3));
    let next = process(7, b"curl", 6);
    let event = Event { process: Some(Arc::clone(&next)), ..closes(3, b"curl") };
    assert_eq!(track(&mut tracker, event).unwrap().process, Some(next));
}

/// A listener of process 7, which has ended by 100.
fn listener_of_ended() -> (Tracker, Exit) {
    let mut tracker = tracker();
    let first = process(7, b"nginx", 5);
    track(&mut tracker, Event { process: Some(first), ..listens(5, 10, 7) });
    let exit = Exit { process: (7, Some(5)), by_ns: 100 };
    (tracker, exit)
}

#[test]
fn nobody_inherits_of_a_process_that_has_ended() {
    let (mut tracker, exit) = listener_of_ended();
    assert_eq!(tracker.heir_of(&child(1, 50)), Some(exit.process));
    tracker.exited(Exit { process: (8, Some(5)), ..exit });
    assert!(!tracker.lacks_holders(), "another one, which has not listened");
    tracker.exited(exit);
    assert!(tracker.lacks_holders(), "somebody may hold its listener now");
    assert!(tracker.knows_exit(&exit.process));
    assert_eq!(track(&mut tracker, child(1, 50)).unwrap().pid, 7, "it lived then");
    for ktime_ns in [50, 100] {
        assert_eq!(tracker.heir_of(&child(2, ktime_ns)), None, "it need not be asked for again");
    }
    assert_eq!(track(&mut tracker, child(2, 100)), None);
    // Of two times the earlier one is right.
    tracker.exited(Exit { by_ns: 40, ..exit });
    tracker.exited(Exit { by_ns: 200, ..exit });
    assert_eq!(track(&mut tracker, child(3, 50)), None);
}

#[test]
fn another_process_with_the_id_has_not_ended() {
    let (mut tracker, exit) = listener_of_ended();
    tracker.exited(Exit { process: (7, Some(4)), ..exit });
    tracker.exited(Exit { process: (7, None), ..exit });
    assert_eq!(track(&mut tracker, child(1, 200)).unwrap().pid, 7);
    // Of one of which no more than the id is known, the next act shows that it is another one.
    let bare = |skaddr, ktime_ns| listens(skaddr, ktime_ns, 7).lport(81);
    track(&mut tracker, bare(6, 50));
    let child = |skaddr| child(skaddr, 300).lport(81);
    assert_eq!(track(&mut tracker, child(2)), None);
    track(&mut tracker, bare(8, 250));
    assert_eq!(track(&mut tracker, child(3)).unwrap().pid, 7);
}

#[test]
fn children_are_of_whoever_holds_the_listener_now() {
    let (mut tracker, exit) = listener_of_ended();
    let mut listener = held(5, State::LISTEN, &process(8, b"nginx", 6), &[9]);
    listener.flow.local.address = Ipv4Addr::UNSPECIFIED.into();
    tracker.exited(exit);
    track(&mut tracker, child(1, 150));
    reconcile(&mut tracker, vec![listener, held(1, State::SYN_RECV, &process(9, b"worker", 7), &[])]);
    assert!(!tracker.lacks_holders());
    let owner = track(&mut tracker, child(2, 200)).unwrap();
    assert_eq!(
        (owner.pid, owner.provenance, owner.process.unwrap().start_ticks),
        (8, Provenance::Inherited, 6)
    );
    let owner = track(&mut tracker, event(1, 210, State::SYN_RECV, State::ESTABLISHED)).unwrap();
    assert_eq!((owner.pid, owner.provenance), (9, Provenance::Snapshot));
}

/// A parent that is older has it open as well, and does not accept.
#[test]
fn who_listens_comes_before_who_merely_holds_the_listener() {
    let (mut tracker, _) = listener_of_ended();
    let mut listener = held(5, State::LISTEN, &process(1, b"parent", 1), &[7, 9]);
    listener.flow.local.address = Ipv4Addr::UNSPECIFIED.into();
    reconcile(&mut tracker, vec![listener.clone()]);
    let owner = track(&mut tracker, child(1, 200)).unwrap();
    assert_eq!((owner.pid, owner.others.as_deref()), (7, Some(&[1, 9][..])));
    // It has closed it since, or given it away.
    Arc::make_mut(listener.owner.as_mut().unwrap()).others = Some([9].into());
    reconcile(&mut tracker, vec![listener]);
    assert_eq!(track(&mut tracker, child(2, 210)).unwrap().pid, 1);
}

#[test]
fn who_acted_owns_it_until_others_hold_it_alone() {
    let mut tracker = tracker();
    let first = process(7, b"parent", 5);
    let established = |skaddr| event(skaddr, 20, State::SYN_SENT, State::ESTABLISHED);
    for skaddr in 1..=4 {
        track(
            &mut tracker,
            Event { process: Some(Arc::clone(&first)), ..by_thread(7, b"parent", connects(skaddr, 10)) },
        );
        track(&mut tracker, established(skaddr));
    }
    // It acts on this one while the list is made, on the next one before that and after the holders were read.
    track(&mut tracker, event(4, 105, State::ESTABLISHED, State::CLOSE_WAIT));
    track(&mut tracker, event(3, 95, State::ESTABLISHED, State::CLOSE_WAIT));
    tracker.expect_holders(true, Some(90));
    let other = process(8, b"child", 6);
    let list = [(1, &[7][..]), (2, &[][..]), (3, &[][..]), (4, &[][..])];
    reconcile(
        &mut tracker,
        list.map(|(skaddr, others)| held(skaddr, State::ESTABLISHED, &other, others)).to_vec(),
    );
    let mut owner = |skaddr, old| {
        let owner = track(&mut tracker, event(skaddr, 200, old, State::CLOSE)).unwrap();
        (owner.pid, owner.provenance)
    };
    assert_eq!(owner(1, State::ESTABLISHED), (7, Provenance::Exact), "one of its holders");
    assert_eq!(owner(2, State::ESTABLISHED), (8, Provenance::Snapshot), "no more");
    assert_eq!(owner(3, State::CLOSE_WAIT), (7, Provenance::Exact), "the holders may be older");
    assert_eq!(owner(4, State::CLOSE_WAIT), (7, Provenance::Exact), "the list may be older");
}

/// Whatever it was taken for: the next act of the same process shows that it lives.
#[test]
fn a_process_that_acts_has_not_ended() {
    let (mut tracker, exit) = listener_of_ended();
    let acts = |skaddr, ktime_ns, start_ticks| Event {
        process: Some(process(7, b"nginx", start_ticks)),
        ..by_thread(7, b"nginx", connects(skaddr, ktime_ns))
    };
    tracker.exited(exit);
    track(&mut tracker, acts(20, 90, 5));
    assert_eq!(track(&mut tracker, child(1, 150)), None, "before its end it lived anyway");
    track(&mut tracker, acts(21, 150, 6));
    assert_eq!(track(&mut tracker, child(2, 160)), None, "another one with the id");
    track(&mut tracker, acts(22, 160, 5));
    assert_eq!(track(&mut tracker, child(3, 170)).unwrap().pid, 7);
}

/// With `SO_REUSEPORT` all workers of a server listen at one address.
#[test]
fn each_worker_that_listens_is_checked_in_turn() {
    let mut tracker = tracker();
    for pid in 1..=5 {
        let socket = u64::from(pid);
        track(&mut tracker, Event { cookie: socket, ..listens(socket, 10, pid) });
    }
    let other = Event { cookie: 6, ..listens(6, 10, 6) }.lport(81);
    track(&mut tracker, other);
    let mut checked = || tracker.owners_to_check(2).0.into_iter().map(|(pid, _)| pid).collect::<Vec<_>>();
    assert_eq!([checked(), checked(), checked()], [[1, 2], [3, 4], [5, 6]]);
    assert_eq!(checked(), [1, 2], "and again");
}

/// Where nobody can be found, lists made in haste would find nobody for ever.
#[test]
fn a_list_that_found_nobody_is_not_asked_for_again() {
    let lacks = |by_ns| {
        let (mut tracker, exit) = listener_of_ended();
        tracker.exited(Exit { by_ns, ..exit });
        track(&mut tracker, child(1, 150));
        assert!(tracker.lacks_holders());
        let mut listener = held(5, State::LISTEN, &process(8, b"hidden", 6), &[]);
        (listener.flow.local.address, listener.owner) = (Ipv4Addr::UNSPECIFIED.into(), None);
        tracker.expect_holders(false, Some(120));
        reconcile(&mut tracker, vec![listener]);
        assert!(!tracker.lacks_holders());
        assert_eq!(track(&mut tracker, child(2, 200)), None);
        tracker.lacks_holders()
    };
    assert!(!lacks(110));
    assert!(lacks(130), "its holders were read before it had ended");
}

/// By a capture of an older version, for one.
#[test]
fn holders_of_an_unknown_time_take_nothing_away() {
    let mut tracker = tracker();
    track(&mut tracker, Event { process: Some(process(7, b"a", 5)), ..by_thread(7, b"a", connects(1, 10)) });
    tracker.expect_holders(true, None);
    reconcile(&mut tracker, vec![held(1, State::SYN_SENT, &process(8, b"b", 6), &[])]);
    assert_eq!(track(&mut tracker, event(1, 200, State::SYN_SENT, State::ESTABLISHED)).unwrap().pid, 7);
}

/// Who had the socket open before that begins to listen on it.
#[test]
fn a_listener_that_begins_after_the_holders_were_read_keeps_its_owner() {
    let listed = |read_ns| {
        let (mut tracker, _) = listener_of_ended();
        let mut listener = held(5, State::LISTEN, &process(8, b"parent", 4), &[]);
        listener.flow.local.address = Ipv4Addr::UNSPECIFIED.into();
        tracker.expect_holders(true, Some(read_ns));
        reconcile(&mut tracker, vec![listener]);
        track(&mut tracker, child(1, 200)).unwrap().pid
    };
    assert_eq!((listed(5), listed(90)), (7, 8));
}

/// Such as by `/proc` without the right to look into every process.
#[test]
fn a_list_that_lacks_holders_takes_nothing_away() {
    let mut tracker = tracker();
    track(&mut tracker, Event { process: Some(process(7, b"a", 5)), ..by_thread(7, b"a", connects(1, 10)) });
    tracker.expect_holders(false, Some(90));
    reconcile(&mut tracker, vec![held(1, State::SYN_SENT, &process(8, b"b", 6), &[])]);
    assert_eq!(track(&mut tracker, event(1, 200, State::SYN_SENT, State::ESTABLISHED)).unwrap().pid, 7);
}

/// Of an open socket whose owner has ended: nobody, until a list tells. What is closing stays its last owner's.
#[test]
fn an_open_socket_is_not_of_a_process_that_has_ended() {
    let mut tracker = tracker();
    for skaddr in [1, 2] {
        let connects = by_thread(7, b"parent", connects(skaddr, 10));
        track(&mut tracker, Event { process: Some(process(7, b"parent", 5)), ..connects });
    }
    track(&mut tracker, by_thread(7, b"parent", event(2, 20, State::ESTABLISHED, FIN_WAIT1)));
    tracker.exited(Exit { process: (7, Some(5)), by_ns: 50 });
    assert_eq!(track(&mut tracker, event(1, 60, State::ESTABLISHED, State::CLOSE_WAIT)), None);
    assert!(tracker.lacks_holders());
    assert_eq!(track(&mut tracker, event(2, 60, FIN_WAIT1, State::CLOSE)).unwrap().pid, 7);
}
