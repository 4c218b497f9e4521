//! Connections that are never established.

use std::{net::SocketAddr, thread::sleep, time::Duration};

use nix::errno::Errno;
use socket2::Socket;
use tcptrace_tests::{
    fixture::Ports,
    net::{Family, accept, begin_connect, connect, connect_error, has_child, listen, pair, read_end, socket},
    netns::sysctl,
    process::tool,
    steps,
};

use crate::lab::{Lab, assert_owned_here, evidence};

/// Routes addresses to a device from which nothing comes back.
fn black_hole() {
    tool("ip", ["link", "add", "hole0", "type", "veth", "peer", "name", "hole1"]);
    tool("ip", ["address", "add", "198.51.100.1/24", "dev", "hole0"]);
    tool("ip", ["link", "set", "hole0", "up"]);
    tool("ip", ["link", "set", "hole1", "up"]);
    tool("ip", ["neighbour", "add", "198.51.100.2", "lladdr", "02:00:00:00:00:01", "dev", "hole0"]);
    tool("ip", ["route", "add", "203.0.113.0/24", "via", "198.51.100.2"]);
}

/// Begins to connect, without waiting for the result.
fn begin(address: SocketAddr) -> Socket {
    let client = socket(address);
    begin_connect(&client, address);
    client
}

#[test]
fn a_destination_that_is_gone() {
    let Some(lab) = Lab::new("a_destination_that_is_gone") else { return };
    let diagnosis = lab.watch(5, &[], || {
        black_hole();
        (0..4).map(|_| begin(([203, 0, 113, 7], 443).into())).collect::<Vec<_>>()
    });
    let finding = diagnosis.one("unreachable-destination");
    assert_eq!(
        (&finding["peers"][0]["address"], &finding["peers"][0]["port"]),
        (&"203.0.113.7".into(), &443.into())
    );
    assert_eq!(evidence(finding, "still waiting, with the SYN sent again"), 4, "{finding:#}");
    assert_eq!(finding["severity"], "critical", "nothing connects: {finding:#}");
    assert_owned_here(finding);
    assert!(diagnosis.all("outbound-scan").is_empty() && diagnosis.all("connection-refused").is_empty());
}

#[test]
fn a_service_that_is_stopped() {
    let Some(lab) = Lab::new("a_service_that_is_stopped") else { return };
    let ports = lab.slot.ports_to_bind();
    let nobody = ports.connect(Family::V4);
    let diagnosis = lab.watch(3, &[], move || {
        for _ in 0..5 {
            assert_eq!(connect_error(nobody), Errno::ECONNREFUSED as i32);
        }
    });
    let finding = diagnosis.one("connection-refused");
    assert_eq!(evidence(finding, "refused"), 5, "{finding:#}");
    assert_eq!(evidence(finding, "listeners seen there"), 0, "it is of this host: {finding:#}");
    assert_eq!(finding["severity"], "critical", "nothing connects: {finding:#}");
    assert_eq!(finding["peers"][0]["port"], nobody.port());
    assert_owned_here(finding);
    assert!(diagnosis.all("unreachable-destination").is_empty());
}

/// The service listens on another address than the one its clients use.
#[test]
fn a_service_at_another_address() {
    let Some(lab) = Lab::new("a_service_at_another_address") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(3, &[], move || {
        let port = ports.connect(Family::V4).port();
        let listener = listen(([127, 0, 0, 1], port).into());
        for _ in 0..5 {
            assert_eq!(connect_error(([192, 0, 2, 1], port).into()), Errno::ECONNREFUSED as i32);
        }
        listener
    });
    let finding = diagnosis.one("connection-refused");
    let summary = finding["summary"].as_str().expect("text");
    assert!(summary.contains("listens on 127.0.0.1:") && summary.ends_with(" instead"), "{summary}");
}

/// One of two backends is down, and the other serves: a part of the attempts fails.
#[test]
fn a_backend_that_is_down() {
    let Some(lab) = Lab::new("a_backend_that_is_down") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(4, &[], move || {
        let listener = listen(ports.listen(Family::V4));
        for _ in 0..5 {
            assert_eq!(connect_error(([192, 0, 2, 1], ports.port(1)).into()), Errno::ECONNREFUSED as i32);
            let (client, server) = pair(&listener, ports.connect(Family::V4));
            drop(client);
            read_end(&server);
        }
        listener
    });
    let finding = diagnosis.one("connection-refused");
    assert_eq!(finding["severity"], "warning", "it connects elsewhere: {finding:#}");
    assert_eq!(evidence(finding, "connections of the same program to other destinations"), 5);
}

/// A link without a carrier: the address exists, and no packet leaves.
#[test]
fn a_link_that_is_down() {
    let Some(lab) = Lab::new("a_link_that_is_down") else { return };
    let diagnosis = lab.watch(5, &[], || {
        black_hole();
        tool("ip", ["link", "set", "hole1", "down"]);
        (0..4).map(|_| begin(([203, 0, 113, 7], 443).into())).collect::<Vec<_>>()
    });
    let finding = diagnosis.one("unreachable-destination");
    assert!(
        finding["summary"].as_str().is_some_and(|text| text.ends_with("hole0 has no carrier")),
        "{finding:#}"
    );
}

/// A client whose listener does not accept gets no reply. Both are on this host, and there is one cause.
#[test]
fn a_listener_here_that_does_not_accept() {
    let Some(lab) = Lab::new("a_listener_here_that_does_not_accept") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(5, &["--only", "unreachable-destination"], move || {
        let listener = listen(ports.listen(Family::V4));
        listener.listen(0).expect("listen");
        let address = ports.connect(Family::V4);
        let served = connect(address);
        let waiting: Vec<_> = (0..4).map(|_| begin(address)).collect();
        (listener, served, waiting)
    });
    let finding = diagnosis.one("unreachable-destination");
    assert!(finding["summary"].as_str().is_some_and(|text| text.ends_with(" listens there")), "{finding:#}");
    let steps = finding["next_steps"].to_string();
    assert!(steps.contains("does not accept") && !steps.contains("ping"), "{steps}");
}

/// A restart: refused for a moment, then served.
#[test]
fn a_service_that_restarts() {
    let Some(lab) = Lab::new("a_service_that_restarts") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(4, &[], move || {
        let address = ports.connect(Family::V4);
        for _ in 0..2 {
            assert_eq!(connect_error(address), Errno::ECONNREFUSED as i32);
        }
        let listener = listen(ports.listen(Family::V4));
        for _ in 0..10 {
            let (client, server) = pair(&listener, address);
            drop(client);
            read_end(&server);
        }
        listener
    });
    diagnosis.assert_healthy();
}

/// A new program listens beside the old one, which serves its connections and ends; clients notice nothing.
#[test]
fn a_graceful_restart_under_load() {
    const CLIENTS: usize = 60;
    let Some(lab) = Lab::new("a_graceful_restart_under_load") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(6, &[], move || {
        let address = ports.listen(Family::V4);
        let program = || {
            let listener = socket(address);
            listener.set_reuse_port(true).expect("SO_REUSEPORT");
            listener.bind(&address.into()).expect("bind");
            listener.listen(128).expect("listen");
            listener
        };
        let serve = |listener: &Socket, client: Socket| {
            let server = accept(listener);
            steps::exchange(&client, &server);
            // The server closes first, so that the client's port is free again at once.
            drop(server);
            read_end(&client);
            sleep(Duration::from_millis(30));
        };
        let old = program();
        for _ in 0..CLIENTS / 2 {
            serve(&old, connect(address));
        }
        let new = program();
        // While both listen, the kernel chooses one of them.
        for _ in 0..20 {
            let client = connect(address);
            serve(if has_child(&old, Duration::from_millis(20)) { &old } else { &new }, client);
        }
        drop(old);
        for _ in 0..CLIENTS / 2 {
            serve(&new, connect(address));
        }
        new
    });
    diagnosis.assert_healthy();
}

#[test]
fn a_scan() {
    let Some(lab) = Lab::new("a_scan") else { return };
    let diagnosis = lab.watch(5, &[], || {
        black_hole();
        let silent: Vec<_> = (1..=40).map(|host| begin(([203, 0, 113, host], 22).into())).collect();
        for port in 1..=40 {
            assert_eq!(connect_error(([192, 0, 2, 1], port).into()), Errno::ECONNREFUSED as i32);
        }
        silent
    });
    let finding = diagnosis.one("outbound-scan");
    assert_eq!(finding["severity"], "warning", "others are harmed, if anybody: {finding:#}");
    assert_eq!(evidence(finding, "different destinations"), 80, "{finding:#}");
    assert_owned_here(finding);
    let others = ["unreachable-destination", "connection-refused"];
    assert!(others.iter().all(|id| diagnosis.all(id).is_empty()), "told once: {:#}", diagnosis.json);
}

/// None of the destinations replies, and no attempt has failed yet.
#[test]
fn a_silent_scan() {
    let Some(lab) = Lab::new("a_silent_scan") else { return };
    let diagnosis = lab.watch(5, &[], || {
        black_hole();
        (1..=40).map(|host| begin(([203, 0, 113, host], 22).into())).collect::<Vec<_>>()
    });
    let finding = diagnosis.one("outbound-scan");
    assert_eq!(evidence(finding, "without an answer so far"), 40, "{finding:#}");
    assert_eq!((evidence(finding, "hosts"), evidence(finding, "ports")), (40, 1));
    assert_owned_here(finding);
}

/// As many destinations as in the scan, all of which reply.
#[test]
fn a_client_of_many_services() {
    let Some(lab) = Lab::new("a_client_of_many_services") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(4, &[], move || {
        let listeners: Vec<_> =
            (0..40).map(|index| listen(([192, 0, 2, 1], ports.port(index)).into())).collect();
        sysctl("net/ipv4/ip_local_port_range", "40000 50000");
        let pairs: Vec<_> = listeners
            .iter()
            .enumerate()
            .map(|(index, listener)| {
                let port = ports.port(u16::try_from(index).expect("few"));
                pair(listener, ([192, 0, 2, 1], port).into())
            })
            .collect();
        (pairs, listeners)
    });
    diagnosis.assert_healthy();
}

/// Twenty ports, and a client that closes first every time.
#[test]
fn no_port_left() {
    let Some(lab) = Lab::new("no_port_left") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(4, &[], move || wait_in_all_ports(ports));
    let finding = diagnosis.one("time-wait-exhaustion");
    assert_eq!(finding["severity"], "critical");
    assert_eq!(evidence(finding, "of these in TIME_WAIT"), 20, "{finding:#}");
    assert_eq!(evidence(finding, "connect() without a port (EADDRNOTAVAIL)"), 3, "{finding:#}");
    assert_owned_here(finding);
}

/// Twenty ports, and a client that keeps its connections. The failed attempt for another port is critical, and the
/// finding names the process that has the ports.
#[test]
fn open_connections_have_all_ports() {
    let Some(lab) = Lab::new("open_connections_have_all_ports") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(4, &[], move || take_all_ports(ports));
    let finding = diagnosis.one("port-exhaustion");
    assert_eq!(finding["severity"], "critical");
    assert_eq!(evidence(finding, "ports in use at most"), 20, "{finding:#}");
    assert_eq!(evidence(finding, "of these in ESTABLISHED"), 20, "{finding:#}");
    assert_eq!(evidence(finding, "connect() without a port (EADDRNOTAVAIL)"), 3, "{finding:#}");
    assert_owned_here(finding);
    assert!(diagnosis.all("time-wait-exhaustion").is_empty(), "{:#}", diagnosis.json);
}

/// No process has the sockets in TIME_WAIT, so a watch of one process does not see what uses the ports.
#[test]
fn no_port_left_for_one_process() {
    let Some(lab) = Lab::new("no_port_left_for_one_process") else { return };
    let (ports, pid) = (lab.slot.ports_to_bind(), std::process::id().to_string());
    let diagnosis = lab.watch(4, &["--pid", &pid], move || wait_in_all_ports(ports));
    let finding = diagnosis.one("port-exhaustion");
    assert_eq!(finding["severity"], "critical");
    assert_eq!(evidence(finding, "connect() without a port (EADDRNOTAVAIL)"), 3, "{finding:#}");
    assert_owned_here(finding);
}

/// Puts all twenty ports into TIME_WAIT, and tries to make three more connections.
fn wait_in_all_ports(ports: Ports) -> Socket {
    let first = ports.port(10);
    sysctl("net/ipv4/ip_local_port_range", &format!("{first} {}", first + 19));
    sysctl("net/ipv4/tcp_tw_reuse", "0");
    let listener = listen(ports.listen(Family::V4));
    for _ in 0..20 {
        let (client, server) = pair(&listener, ports.connect(Family::V4));
        drop(client);
        read_end(&server);
    }
    for _ in 0..3 {
        assert_eq!(connect_error(ports.connect(Family::V4)), Errno::EADDRNOTAVAIL as i32);
    }
    listener
}

/// Takes all twenty ports, and tries to make three more connections.
fn take_all_ports(ports: Ports) -> (Vec<(Socket, Socket)>, Socket) {
    let first = ports.port(10);
    sysctl("net/ipv4/ip_local_port_range", &format!("{first} {}", first + 19));
    let listener = listen(ports.listen(Family::V4));
    let pairs = (0..20).map(|_| pair(&listener, ports.connect(Family::V4))).collect();
    for _ in 0..3 {
        assert_eq!(connect_error(ports.connect(Family::V4)), Errno::EADDRNOTAVAIL as i32);
    }
    (pairs, listener)
}

/// Twenty ports, all in TIME_WAIT: on loopback the kernel reuses them after a second.
#[test]
fn ports_that_are_taken_over() {
    let Some(lab) = Lab::new("ports_that_are_taken_over") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(5, &[], move || {
        let first = ports.port(10);
        sysctl("net/ipv4/ip_local_port_range", &format!("{first} {}", first + 19));
        sysctl("net/ipv4/tcp_tw_reuse", "2");
        let address = SocketAddr::from(([127, 0, 0, 1], ports.port(0)));
        let listener = listen(address);
        for _ in 0..2 {
            for _ in 0..20 {
                let (client, server) = pair(&listener, address);
                drop(client);
                read_end(&server);
            }
            sleep(Duration::from_millis(1_200));
        }
        listener
    });
    diagnosis.assert_healthy();
    assert_eq!(diagnosis.all("time-wait-exhaustion").len(), 1, "worth knowing: {:#}", diagnosis.json);
}

/// As many ports in TIME_WAIT, out of a large range.
#[test]
fn ports_to_spare() {
    let Some(lab) = Lab::new("ports_to_spare") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(4, &[], move || {
        sysctl("net/ipv4/ip_local_port_range", "40000 50000");
        let listener = listen(ports.listen(Family::V4));
        for _ in 0..200 {
            let (client, server) = pair(&listener, ports.connect(Family::V4));
            drop(client);
            read_end(&server);
        }
        listener
    });
    diagnosis.assert_healthy();
}

/// Clients that all come at once, and wait a little for a slow server. They close when it does.
#[test]
fn a_burst_of_clients() {
    let Some(lab) = Lab::new("a_burst_of_clients") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(4, &[], move || {
        sysctl("net/ipv4/ip_local_port_range", "40000 50000");
        let listener = listen(ports.listen(Family::V4));
        listener.listen(512).expect("listen");
        let clients: Vec<_> = (0..200).map(|_| connect(ports.connect(Family::V4))).collect();
        for client in clients {
            drop(accept(&listener));
            read_end(&client);
            sleep(Duration::from_millis(1));
        }
        listener
    });
    diagnosis.assert_healthy();
    assert!(diagnosis.all("syn-flood").is_empty(), "{:#}", diagnosis.json);
}
