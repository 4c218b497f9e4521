//! Each filter passes the right transitions, of all that tracefs saw.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{IpAddr, SocketAddr},
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use tcptrace_tests::{
    both_hooks,
    chain::chains,
    fixture::{Fixture, Ports, compare},
    machine::{Hook, helper, is_root},
    net::{Family, abort, accept, connect, connect_error, listen, pair, read_end, read_error},
    netns::{Namespace, V4, V6},
    process::Running,
    replay::{Obstacle, play_until_comparable},
    slot::Slot,
    tracer::{Report, Tracer},
    transition::{Transition, listing},
};

both_hooks!(tuple_filters, state_filters, netns_filter, pid_filter, count_and_duration);

/// Connections of all families, to two ports, closed in several ways.
fn traffic(ports: Ports) {
    for family in [Family::V4, Family::V6, Family::MappedServer, Family::MappedClient] {
        let listener = listen(ports.listen(family));
        let (client, server) = pair(&listener, ports.connect(family));
        drop(client);
        read_end(&server);
        drop((server, listener));
    }
    let address = Family::V4.listen(ports.port(1));
    let listener = listen(address);
    let (client, server) = pair(&listener, address);
    abort(client);
    read_error(&server);
    drop((server, listener));
    connect_error(Family::V4.connect(ports.port(2)));
    let elsewhere = SocketAddr::from(([192, 0, 2, 77], ports.port(3)));
    let listener = listen(elsewhere);
    let client = connect(elsewhere);
    drop(accept(&listener));
    read_end(&client);
}

type Wanted = Box<dyn Fn(&Transition) -> bool>;

/// Options, and the transitions that they pass.
type Filter = (Vec<String>, Wanted);

/// Runs a tracer for each filter at once on the same traffic.
fn play_filters(hook: Hook, filters: fn(&Slot) -> Vec<Filter>) -> Result<(), Obstacle> {
    let world = Fixture::new();
    let filters = filters(&world.slot);
    let netns = world.namespace.inode().to_string();
    let tracers: Vec<_> = filters
        .iter()
        .map(|(options, _)| {
            let mut arguments = vec!["-o", "json", "--netns", &netns];
            arguments.extend(options.iter().map(String::as_str));
            Tracer::start(hook, &arguments)
        })
        .collect();
    let ports = world.ports();
    world.namespace.run(move || traffic(ports));
    world.settle(60);
    let reports: Vec<Report> = tracers.into_iter().map(Tracer::stop).collect();
    world.check_all_seen(&reports.iter().collect::<Vec<_>>())?;
    let all = world.tracefs.transitions();
    assert!(all.len() >= 60, "the traffic happened:\n{}", listing(&all));
    for ((options, wanted), report) in filters.iter().zip(&reports) {
        report.assert_lossless();
        let expected: Vec<_> =
            with_ports(&all).into_iter().filter(|(known, _)| wanted(known)).map(|(_, seen)| seen).collect();
        assert!(!expected.is_empty() && expected.len() < all.len(), "{options:?} distinguishes");
        println!("{options:?}: {} of {}", expected.len(), all.len());
        compare(&report.transitions(), &expected);
    }
    Ok(())
}

/// Each transition with the local port that its socket gets later, and as seen.
fn with_ports(all: &[Transition]) -> Vec<(Transition, Transition)> {
    let mut pairs = Vec::new();
    for chain in chains(all) {
        let lport = chain.tuple().lport;
        for seen in chain.0 {
            let mut known = seen.clone();
            known.tuple.lport = lport;
            pairs.push((known, seen));
        }
    }
    pairs.sort_by_key(|(known, _)| known.ktime_ns);
    pairs
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

fn tuple_filters(hook: Hook, name: &str) {
    if is_root(name) {
        play_until_comparable(name, || play_filters(hook, of_tuples));
    }
}

fn of_tuples(slot: &Slot) -> Vec<Filter> {
    let port = |index| slot.port(index);
    let ephemeral = slot.ephemeral();
    let (first, last) = (*ephemeral.start(), *ephemeral.end());
    let (p0, p1, p2) = (port(0), port(1), port(2));
    let near: IpAddr = V4.into();
    let far: IpAddr = [192, 0, 2, 77].into();
    vec![
        (words(&format!("-L {p0}")), Box::new(move |event| event.tuple.lport == p0)),
        // This includes CLOSE -> SYN_SENT, where the port is not chosen yet.
        (
            words(&format!("-L {first}-{last}")),
            Box::new(move |event| (first..=last).contains(&event.tuple.lport)),
        ),
        (words(&format!("-D {p1},{p2}")), Box::new(move |event| [p1, p2].contains(&event.tuple.rport))),
        (
            words(&format!("-L {first}-{last} -D {p0}")),
            Box::new(move |event| (first..=last).contains(&event.tuple.lport) && event.tuple.rport == p0),
        ),
        (words("--local 192.0.2.77"), Box::new(move |event| event.tuple.laddr == far)),
        (words("--remote 192.0.2.77/32"), Box::new(move |event| event.tuple.raddr == far)),
        (
            words(&format!("--local {V4}/32,{V6}/128")),
            Box::new(move |event| event.tuple.laddr == near || event.tuple.laddr == IpAddr::from(V6)),
        ),
        (words("--remote 2001:db8::/32"), Box::new(|event| event.tuple.raddr == IpAddr::from(V6))),
        (words("-4"), Box::new(|event| event.tuple.laddr.is_ipv4())),
        (words("-6"), Box::new(|event| event.tuple.laddr.is_ipv6())),
    ]
}

fn state_filters(hook: Hook, name: &str) {
    if is_root(name) {
        play_until_comparable(name, || play_filters(hook, of_states));
    }
}

fn of_states(slot: &Slot) -> Vec<Filter> {
    let p0 = slot.port(0);
    vec![
        (
            words("--state ESTABLISHED"),
            Box::new(|event| event.old == "ESTABLISHED" || event.new == "ESTABLISHED"),
        ),
        (
            words("--state syn-sent,listen"),
            Box::new(|event| {
                [&event.old, &event.new].into_iter().any(|state| state == "SYN_SENT" || state == "LISTEN")
            }),
        ),
        (words("--from-state CLOSE_WAIT"), Box::new(|event| event.old == "CLOSE_WAIT")),
        (words("--to-state CLOSE"), Box::new(|event| event.new == "CLOSE")),
        (
            words("--from-state ESTABLISHED --to-state CLOSE"),
            Box::new(|event| event.old == "ESTABLISHED" && event.new == "CLOSE"),
        ),
        (
            words(&format!("-L {p0} --to-state SYN_RECV,CLOSE_WAIT")),
            Box::new(move |event| {
                event.tuple.lport == p0 && ["SYN_RECV", "CLOSE_WAIT"].contains(&event.new.as_str())
            }),
        ),
    ]
}

/// Two namespaces with the same addresses, and a tracer for each. One namespace is given by inode, one by path.
fn netns_filter(hook: Hook, name: &str) {
    if is_root(name) {
        play_until_comparable(name, || play_namespaces(hook));
    }
}

fn play_namespaces(hook: Hook) -> Result<(), Obstacle> {
    let world = Fixture::new();
    let other = Namespace::new(&world.slot.ephemeral());
    let inode = world.namespace.inode().to_string();
    let here = Tracer::start(hook, &["-o", "json", "--netns", &inode]);
    let there = Tracer::start(hook, &["-o", "json", "--netns", other.path()]);
    let ports = world.ports();
    let address = Family::V4.listen(ports.port(0));
    world.namespace.run(move || drop(listen(address)));
    let elsewhere = Family::V4.listen(ports.port(1));
    other.run(move || drop(listen(elsewhere)));
    world.settle(4);
    let (here, there) = (here.stop(), there.stop());
    world.check_all_seen(&[&here, &there])?;
    let all = world.tracefs.transitions();
    for (report, port, inode) in
        [(here, ports.port(0), world.namespace.inode()), (there, ports.port(1), other.inode())]
    {
        report.assert_lossless();
        let told = report.transitions();
        let expected: Vec<_> = all.iter().filter(|event| event.tuple.lport == port).cloned().collect();
        assert_eq!(expected.len(), 2, "{}", listing(&all));
        compare(&told, &expected);
        assert!(told.iter().all(|event| event.json["netns"] == inode), "{}", report.stdout);
    }
    Ok(())
}

/// Only the sockets of one process, from their first transition to their last, including a server's children: one
/// tracer for the server's process, one for the client's.
fn pid_filter(hook: Hook, name: &str) {
    if is_root(name) {
        play_until_comparable(name, || play_processes(hook));
    }
}

fn play_processes(hook: Hook) -> Result<(), Obstacle> {
    let world = Fixture::new();
    let ports = world.ports();
    let netns = world.namespace.inode().to_string();
    let (server, client, port) = world.namespace.run(move || {
        let address = ports.connect(Family::V4).to_string();
        let mut command = Command::new(helper(env!("CARGO_BIN_EXE_actor")));
        command.args(["connect", &address]);
        let mut actor = Running::spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let trace =
            |pid: u32| Tracer::start(hook, &["-o", "json", "--netns", &netns, "-p", &pid.to_string()]);
        let (server, client) = (trace(std::process::id()), trace(actor.pid()));

        let listener = listen(ports.listen(Family::V4));
        // A listener of another process, on the same port.
        let elsewhere = SocketAddr::from(([192, 0, 2, 77], ports.listen(Family::V4).port()));
        drop(listen(elsewhere));
        let mut stdin = actor.child().stdin.take().expect("a pipe");
        stdin.write_all(b"\n").expect("the actor reads");
        let mut line = String::new();
        let stdout = actor.child().stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("the client's address");
        let port = line.trim().parse::<SocketAddr>().expect("an address").port();
        let accepted = accept(&listener);
        drop(stdin);
        read_end(&accepted);
        actor.wait(Duration::from_secs(10));
        drop((accepted, listener));
        // The wait is for the last packets.
        sleep(Duration::from_millis(100));
        (server.stop(), client.stop(), port)
    });
    world.check_all_seen(&[&server, &client])?;
    let all = with_ports(&world.tracefs.transitions());
    for (report, of_client, count) in [(server, false, 9), (client, true, 5)] {
        report.assert_lossless();
        let wanted = all.iter().filter(|(known, _)| (known.tuple.lport == port) == of_client);
        let wanted: Vec<_> = wanted.map(|(_, seen)| seen.clone()).collect();
        assert_eq!(wanted.len(), count, "{}", listing(&wanted));
        compare(&report.transitions(), &wanted);
    }
    Ok(())
}

fn count_and_duration(hook: Hook, name: &str) {
    if is_root(name) {
        play_until_comparable(name, || play_limits(hook));
    }
}

fn play_limits(hook: Hook) -> Result<(), Obstacle> {
    let world = Fixture::new();
    let netns = world.namespace.inode().to_string();
    let five = Tracer::start(hook, &["-o", "json", "--netns", &netns, "--count", "5"]);
    let ports = world.ports();
    world.namespace.run(move || traffic(ports));
    let report = five.join();
    world.check_all_seen(&[&report])?;
    report.assert_lossless();
    let told = report.transitions();
    assert_eq!(told.len(), 5);
    compare(&told, &world.tracefs.transitions()[..5]);

    let start = Instant::now();
    let second = Tracer::start(hook, &["-o", "json", "--netns", &netns, "--duration", "1s"]);
    let ready = Instant::now();
    world.namespace.run(move || drop(listen(ports.listen(Family::V4))));
    let report = second.join();
    assert!(start.elapsed() >= Duration::from_secs(1), "not earlier");
    assert!(ready.elapsed() < Duration::from_millis(2_500), "not much later");
    world.check_all_seen(&[&report])?;
    report.assert_lossless();
    assert_eq!(report.transitions().len(), 2);
    Ok(())
}
