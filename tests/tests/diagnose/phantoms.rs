//! Clients that have disappeared, and clients that are only silent.

use std::{
    cell::RefCell,
    io::Read as _,
    net::SocketAddr,
    thread::{self, sleep},
    time::Duration,
};

use socket2::{Socket, TcpKeepalive};
use tcptrace_tests::{
    fixture::Ports,
    net::{Family, abort, accept, connect, deafen, listen, pair, socket},
    netns::Namespace,
    process::tool,
    steps,
};

use crate::closing::{MANY, pairs};
use crate::lab::{Lab, assert_owned_here, evidence};

/// Connections that fall silent, whose client comes back on a new connection, in use until the end. `leave` returns the
/// part of each silent connection that stays.
fn silence<T>(ports: Ports, leave: impl Fn((Socket, Socket)) -> T) -> (Vec<T>, (Socket, Socket), Socket) {
    let (silent, listener) = pairs(ports, MANY);
    sleep(Duration::from_secs(2));
    // The newer connection is made before the others end, so that it reuses no port of theirs.
    let newer = pair(&listener, ports.connect(Family::V4));
    let silent = silent.into_iter().map(leave).collect();
    for _ in 0..20 {
        newer.0.send(b"I am back").expect("send");
        sleep(Duration::from_millis(200));
    }
    (silent, newer, listener)
}

/// Ends a client without a packet to its server.
fn vanish((client, server): (Socket, Socket)) -> Socket {
    deafen(&server);
    abort(client);
    server
}

/// The clients' ends would be visible in this namespace, as the end of the connection in use is.
#[test]
fn clients_that_are_gone() {
    let Some(lab) = Lab::new("clients_that_are_gone") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(5, &[], move || silence(ports, vanish));
    let finding = diagnosis.one("phantom-established");
    let gone = evidence(finding, "whose other end would be on this host, and is not there");
    assert_eq!(gone, MANY as u64, "{finding:#}");
    assert_eq!((&finding["severity"], &finding["harm"]["count"]), (&"warning".into(), &gone.into()));
    assert_owned_here(finding);
}

/// A server that sends data to clients which are cut off.
#[test]
fn clients_that_do_not_answer() {
    let Some(lab) = Lab::new("clients_that_do_not_answer") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(5, &[], move || {
        let (pairs, listener) = pairs(ports, MANY);
        for (client, server) in &pairs {
            steps::exchange(client, server);
            deafen(client);
            server.send(b"news").expect("send");
        }
        (pairs, listener)
    });
    let finding = diagnosis.one("phantom-established");
    assert_eq!(evidence(finding, "with data that nobody acknowledges"), MANY as u64, "{finding:#}");
    assert_eq!(evidence(finding, "data that nobody acknowledges"), 4 * MANY as u64, "{finding:#}");
    assert_eq!(finding["severity"], "warning", "{finding:#}");
    assert_owned_here(finding);
}

/// As many silent connections, but both ends are visible: a pool of which one connection is in use.
#[test]
fn clients_that_stay() {
    let Some(lab) = Lab::new("clients_that_stay") else { return };
    let ports = lab.slot.ports_to_bind();
    lab.watch(5, &[], move || silence(ports, |pair| pair)).assert_healthy();
}

/// Makes a client namespace outside the watch: only the server's namespace is watched, so the clients' ends are not
/// visible.
fn client_of(lab: &Lab) -> Namespace {
    let namespace = Namespace::new(&lab.slot.ephemeral());
    lab.namespace.join(&namespace);
    namespace
}

fn accept_one(lab: &Lab) {
    lab.namespace.run(|| keep(|kept| vec![accept(&kept[0])]));
}

/// A host repeatedly loses all connections because its link goes down, and comes back with the same address. The server
/// gets no packet about it.
#[test]
fn clients_behind_a_link_that_goes_down() {
    let Some(lab) = Lab::new("clients_behind_a_link_that_goes_down") else { return };
    let address = SocketAddr::from(([198, 51, 100, 1], lab.slot.port(0)));
    lab.namespace.run(move || keep(|_| vec![listen(SocketAddr::from(([0, 0, 0, 0], address.port())))]));
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut last = None;
            for round in 0..4 {
                // Longer than the interval between two scans.
                sleep(Duration::from_millis(if round == 0 { 1_000 } else { 2_700 }));
                if last.take().is_some() {
                    lab.namespace.run(|| tool("ip", ["link", "delete", "veth0"]));
                }
                let client = client_of(&lab);
                // Each round uses a new port: a SYN from an old one would make the server detect the loss.
                let port = lab.slot.port(10 + round);
                client.run(move || {
                    keep(|_| {
                        let client = socket(address);
                        let own = SocketAddr::from(([198, 51, 100, 2], port));
                        client.bind(&own.into()).expect("bind");
                        client.connect(&address.into()).expect("connect");
                        client.send(b"I am back").expect("send");
                        vec![client]
                    });
                });
                accept_one(&lab);
                lab.namespace.run(|| {
                    KEPT.with_borrow(|kept| {
                        (&mut &kept[kept.len() - 1]).read_exact(&mut [0; 9]).expect("read");
                    });
                });
                // The link goes down before the client's FIN, which is lost. The host and all of its sockets are gone.
                sleep(Duration::from_millis(200));
                lab.namespace.run(|| tool("ip", ["link", "set", "veth0", "down"]));
                last = Some(client);
            }
        });
        let diagnosis = lab.watch(12, &[], || ());
        let finding = diagnosis.one("phantom-established");
        let left = evidence(finding, "whose clients come back one connection at a time");
        assert!((2..4).contains(&left), "{finding:#}");
        assert_eq!(finding["severity"], "warning", "the client has come back: {finding:#}");
        assert_eq!(finding["confidence"]["level"], "medium", "nothing proves it: {finding:#}");
        assert_eq!(finding["peers"][0]["address"], "198.51.100.2", "{finding:#}");
        assert_owned_here(finding);
    });
}

/// A client with idle connections, others in use, and new ones: all of them live.
#[test]
fn a_pool_of_one_client() {
    let Some(lab) = Lab::new("a_pool_of_one_client") else { return };
    let address = SocketAddr::from(([198, 51, 100, 1], lab.slot.port(0)));
    let client = client_of(&lab);
    lab.namespace.run(move || keep(|_| vec![listen(SocketAddr::from(([0, 0, 0, 0], address.port())))]));
    thread::scope(|scope| {
        scope.spawn(|| {
            client.run(move || keep(|_| (0..MANY).map(|_| connect(address)).collect()));
            (0..MANY).for_each(|_| accept_one(&lab));
            for _ in 0..9 {
                sleep(Duration::from_millis(900));
                client.run(move || {
                    keep(|kept| {
                        for busy in &kept[..3] {
                            busy.send(b"busy").expect("send");
                        }
                        vec![connect(address)]
                    });
                });
                accept_one(&lab);
            }
        });
        let diagnosis = lab.watch(7, &[], || ());
        diagnosis.assert_healthy();
        assert_eq!(diagnosis.all("phantom-established").len(), 1, "worth knowing: {:#}", diagnosis.json);
    });
}

thread_local! {
    /// Sockets for later jobs of the same namespace. They end with the namespace's thread.
    static KEPT: RefCell<Vec<Socket>> = const { RefCell::new(Vec::new()) };
}

fn keep(more: impl FnOnce(&[Socket]) -> Vec<Socket>) {
    KEPT.with_borrow_mut(|kept| {
        let mut more = more(kept);
        kept.append(&mut more);
    });
}

/// A web server whose clients keep their connections and send requests repeatedly.
#[test]
fn a_busy_server_with_keep_alive() {
    let Some(lab) = Lab::new("a_busy_server_with_keep_alive") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(4, &[], move || {
        let (pairs, listener) = pairs(ports, 30);
        for _ in 0..20 {
            for (client, server) in &pairs {
                steps::exchange(client, server);
            }
            sleep(Duration::from_millis(200));
        }
        (pairs, listener)
    });
    diagnosis.assert_healthy();
}

/// Clients that are as silent and have disappeared, of a server with keepalive, which would detect that.
#[test]
fn idle_and_kept_alive() {
    let Some(lab) = Lab::new("idle_and_kept_alive") else { return };
    let ports = lab.slot.ports_to_bind();
    let probes = TcpKeepalive::new().with_time(Duration::from_secs(30));
    let vanish = move |(client, server): (Socket, Socket)| {
        server.set_tcp_keepalive(&probes).expect("SO_KEEPALIVE");
        vanish((client, server))
    };
    lab.watch(5, &[], move || silence(ports, vanish)).assert_healthy();
}
