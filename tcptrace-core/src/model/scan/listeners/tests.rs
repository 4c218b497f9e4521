use std::net::Ipv4Addr;

use super::*;

const MS: u64 = 1_000_000;

fn socket(state: State, inode: Option<u64>) -> Socket {
    let listens = state == State::LISTEN;
    let local = if listens { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::new(192, 0, 2, 1) };
    let rport = if listens { 0 } else { 40_000 };
    Socket {
        inode,
        age_at_least_ns: (!listens).then_some(700 * MS),
        transparent: Some(false),
        ..Socket::between(state, (local, 80).into(), (Ipv4Addr::new(192, 0, 2, 9), rport).into())
    }
}

fn listener(recv_queue: u32) -> Socket {
    Socket { recv_queue, ..socket(State::LISTEN, Some(70)) }
}

fn child() -> Socket {
    socket(State::ESTABLISHED, None)
}

/// The listener that a connection comes from, among sockets that were read within 5 ms.
fn of(child: &Socket, sockets: &[Socket]) -> Option<Listener> {
    let read = Namespace { inode: Some(1), begin_ns: 1_000 * MS, end_ns: 1_005 * MS, most_timewait: None };
    let sockets: Vec<_> = sockets.iter().cloned().map(Box::new).collect();
    let all = Listeners::new(&sockets, &[read]);
    Place::of(child, &all.anywhere, &all.on_devices).map(|place| place.listener)
}

#[test]
fn what_waits_is_in_the_queue() {
    let own = Some(Listener::One(70));
    assert_eq!(of(&child(), &[listener(1), child()]), own);
    assert_eq!(of(&child(), &[listener(3), child(), child()]), own, "one has been reset meanwhile");
    // The listener cannot have made more connections than wait in its queue, and which of them it made is not known.
    assert_eq!(of(&child(), &[listener(1), child(), child()]), Some(Listener::Unknown));
    let waits = Socket { state: State::CLOSE_WAIT, ..child() };
    assert_eq!(of(&child(), &[listener(0), waits]), Some(Listener::Unknown));
}

/// An ordinary server while connections come and go: only connections that were there when its queue was read count.
#[test]
fn what_may_have_come_later_is_no_surplus() {
    let own = Some(Listener::One(70));
    let young = Socket { age_at_least_ns: Some(14 * MS), ..child() };
    assert_eq!(of(&child(), &[listener(0), young]), own, "within the walk, by ticks of 10 ms");
    let old_enough = Socket { age_at_least_ns: Some(15 * MS), ..child() };
    assert_eq!(of(&child(), &[listener(0), old_enough]), Some(Listener::Unknown));
    assert_eq!(of(&child(), &[listener(0), Socket { age_at_least_ns: None, ..child() }]), own);
    assert_eq!(of(&child(), &[child(), listener(0)]), own, "read before the queue, and accepted in between");
    for closed in [State::FIN_WAIT1, State::FIN_WAIT2, State::LAST_ACK, State::CLOSING, State::SYN_RECV] {
        assert_eq!(of(&child(), &[listener(0), Socket { state: closed, ..child() }]), own, "{closed}");
    }
    assert_eq!(of(&child(), &[listener(0), Socket { inode: Some(9), ..child() }]), own, "accepted");
    assert_eq!(of(&child(), &[listener(0), Socket { mptcp: true, ..child() }]), own, "a subflow that joined");
    let mut of_another_port = child();
    of_another_port.flow.local.port = 81;
    assert_eq!(of(&child(), &[listener(0), of_another_port]), own, "of another port");
}

#[test]
fn a_child_has_the_options_of_its_listener() {
    let (yes, no) = (Some(true), Some(false));
    let told = |of_listener, of_child| {
        let listener = Socket { transparent: of_listener, ..listener(5) };
        of(&child(), &[listener, Socket { transparent: of_child, ..child() }])
    };
    let own = Some(Listener::One(70));
    assert_eq!([told(no, no), told(yes, yes), told(None, yes), told(yes, None)], [own; 4]);
    assert_eq!([told(no, yes), told(yes, no)], [Some(Listener::Unknown); 2]);
}

#[test]
fn listeners_on_devices() {
    let on = |ifindex, inode| Socket { ifindex: Some(ifindex), inode: Some(inode), ..listener(5) };
    let all = [listener(5), on(2, 72), on(3, 73)];
    let child_on = |ifindex| Socket { ifindex, ..child() };
    assert_eq!(of(&child_on(Some(2)), &all), Some(Listener::One(72)));
    assert_eq!(of(&child_on(Some(3)), &all), Some(Listener::One(73)));
    assert_eq!(of(&child_on(Some(4)), &all), Some(Listener::One(70)));
    assert_eq!(of(&child_on(None), &all), Some(Listener::One(70)));
    assert_eq!(of(&child_on(None), &all[1..]), None, "one on a device takes nothing else");
    let two = [on(2, 72), on(2, 74), on(3, 73)];
    assert_eq!(of(&child_on(Some(2)), &two), Some(Listener::Unknown));
    assert_eq!(of(&child_on(Some(3)), &two), Some(Listener::One(73)));
}
