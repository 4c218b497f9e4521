//! Two packets of one half-open connection, handled by different CPUs: both make a child, and the kernel destroys the
//! later one.

use std::{
    collections::HashMap,
    io::Read as _,
    net::SocketAddr,
    sync::Barrier,
    thread::{available_parallelism, scope},
    time::Duration,
};

use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};
use socket2::{Domain, Protocol, Socket, Type};
use tcptrace_tests::{
    fixture::{Fixture, Ports},
    machine::{Hook, is_root, skip},
    net::{Family, abort, accept, deafen, has_child, listen},
    process::at_once,
    replay::{Obstacle, play_until_comparable},
    syn::{ACK, PSH, SYN, Segment, packet, raw_socket, send_packet},
    tracer::{Report, Tracer},
};

/// The number of half-open connections.
const ROUNDS: u16 = 30;

#[test]
fn second_child() {
    let name = "second_child";
    if available_parallelism().map_or(1, usize::from) < 2 {
        return skip(name, "one CPU makes one child");
    }
    if is_root(name) {
        play_until_comparable(name, play);
    }
}

fn play() -> Result<(), Obstacle> {
    let world = Fixture::new();
    let netns = world.namespace.inode().to_string();
    let arguments = ["-o", "json", "--netns", &netns];
    let tracers = at_once(Hook::ALL, |hook| Tracer::start_with_life(hook, &arguments));
    let ports = world.ports();
    let accepted = world.namespace.run(move || race(ports));
    world.settle(u64::from(ROUNDS));
    let reports = at_once(tracers, |both| at_once(both, Tracer::stop));
    world.check_all_seen(&reports.iter().flatten().collect::<Vec<_>>())?;
    // The number of children of each request, according to tracefs.
    let mut children: HashMap<u16, usize> = HashMap::new();
    let witnessed = world.tracefs.transitions();
    for child in witnessed
        .iter()
        .filter(|event| (event.old.as_str(), event.new.as_str()) == ("SYN_RECV", "ESTABLISHED"))
    {
        children.entry(child.tuple.rport).or_default();
    }
    let dropped =
        witnessed.iter().filter(|event| (event.old.as_str(), event.new.as_str()) == ("SYN_RECV", "CLOSE"));
    for child in dropped {
        *children.entry(child.tuple.rport).or_default() += 1;
    }
    let second: usize = children.values().sum();
    // The number is from tracefs, so tcptrace has not missed any.
    if second == 0 {
        return Err(Obstacle::NotMade("no request with two children"));
    }
    assert_eq!(children.len(), accepted, "each request has one that goes on");
    for [trace, life] in &reports {
        assert_told(trace, life, second, accepted);
    }
    Ok(())
}

/// Asserts that `trace` and `life` report this many second children, and this many connections.
fn assert_told(trace: &Report, life: &Report, second: usize, accepted: usize) {
    trace.assert_lossless();
    let ends: Vec<_> = trace.transitions().into_iter().filter(|event| event.new == "CLOSE").collect();
    let told = ends.iter().filter(|end| end.json["close"]["cause"] == "second_child");
    assert_eq!(told.count(), second, "{ends:#?}");
    assert!(ends.iter().all(|end| end.json["close"]["cause"] != "listener_closed"), "the listener listens");
    assert_eq!(counted(trace), second as u64);
    assert_eq!(counted(life), second as u64);
    let lines = life.of_type("connection");
    assert_eq!(lines.len(), accepted, "a line a connection: {lines:#?}");
    // Whether its data went to the destroyed child depends on chance.
    let is_right = |cause: &str| matches!(cause, "reset_linger" | "reset_unread");
    assert!(lines.iter().all(|line| line["cause"].as_str().is_some_and(is_right)), "{lines:#?}");
    assert!(lines.iter().all(|line| line["life_us"].is_u64()), "{lines:#?}");
}

fn counted(report: &Report) -> u64 {
    report.of_type("summary")[0]["second_children"].as_u64().expect("a number")
}

/// Sends each half-open connection its ACK and its first data at the same time. Returns the number of established
/// connections.
fn race(ports: Ports) -> usize {
    let server = ports.connect(Family::V4);
    let listener = listen(ports.listen(Family::V4));
    let hears = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::TCP)).expect("a raw socket");
    hears.set_read_timeout(Some(Duration::from_secs(1))).expect("SO_RCVTIMEO");
    let mut accepted = 0;
    for round in 1..=ROUNDS {
        let client = Family::V4.connect(ports.port(round));
        // Without this socket the kernel would reply for the client, by a reset.
        let keeper = listen(client);
        deafen(&keeper);
        let socket = raw_socket(server);
        send_packet(
            &socket,
            &packet(client, server, &Segment { flags: SYN, seq: 1_000, ack: 0, data: &[] }),
            server,
        );
        let ack = initial_number(&hears, server, client).wrapping_add(1);
        let bare = Segment { flags: ACK, seq: 1_001, ack, data: &[] };
        let with_data = Segment { flags: ACK | PSH, data: b"data", ..bare };
        let barrier = Barrier::new(2);
        scope(|scope| {
            for (cpu, segment) in [(0, bare), (1, with_data)] {
                let (barrier, packet) = (&barrier, packet(client, server, &segment));
                scope.spawn(move || {
                    let mut cpus = CpuSet::new();
                    cpus.set(cpu).expect("a CPU");
                    // Where the host allows only other CPUs, those are used.
                    let _ = sched_setaffinity(Pid::from_raw(0), &cpus);
                    let socket = raw_socket(server);
                    barrier.wait();
                    send_packet(&socket, &packet, server);
                });
            }
        });
        if has_child(&listener, Duration::from_secs(1)) {
            abort(accept(&listener));
            accepted += 1;
        }
    }
    accepted
}

/// The sequence number of the SYN-ACK.
fn initial_number(mut hears: &Socket, server: SocketAddr, client: SocketAddr) -> u32 {
    let mut bytes = [0; 2_048];
    loop {
        let length = hears.read(&mut bytes).expect("a SYN-ACK");
        let segment = bytes.get(20..length).unwrap_or_default();
        let port = |at: usize| segment.get(at..at + 2).map(|port| u16::from_be_bytes([port[0], port[1]]));
        let is_it = (port(0), port(2)) == (Some(server.port()), Some(client.port()));
        if is_it && segment.get(13).is_some_and(|flags| flags & (SYN | ACK) == SYN | ACK) {
            return u32::from_be_bytes([segment[4], segment[5], segment[6], segment[7]]);
        }
    }
}
