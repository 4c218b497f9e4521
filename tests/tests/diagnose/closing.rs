//! Connections that do not end, or end badly.

use std::{
    cell::RefCell,
    io::Read as _,
    net::{Shutdown, SocketAddr},
    thread::{self, sleep},
    time::Duration,
};

use socket2::{Socket, TcpKeepalive};
use tcptrace_tests::{
    acts,
    net::{
        Family, abort, accept, begin_connect, connect, deafen, hear, listen, pair, peek, read_end,
        read_error, socket,
    },
    netns::{Namespace, sysctl},
    process::tool,
    world::Ports,
};

use crate::lab::{Lab, assert_owned_here, evidence};

pub(crate) const MANY: usize = 8;

/// Connections to a listener: client, server, and the listener behind them.
pub(crate) fn pairs(ports: Ports, count: usize) -> (Vec<(Socket, Socket)>, Socket) {
    let listener = listen(ports.listen(Family::V4));
    let pairs = (0..count).map(|_| pair(&listener, ports.connect(Family::V4))).collect();
    (pairs, listener)
}

#[test]
fn a_program_that_does_not_close() {
    let Some(lab) = Lab::new("a_program_that_does_not_close") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(5, &[], move || {
        let (pairs, listener) = pairs(ports, MANY);
        // Clients go; servers stay.
        let servers: Vec<Socket> =
            pairs.into_iter().map(|(client, server)| (drop(client), server).1).collect();
        (servers, listener)
    });
    let finding = diagnosis.one("close-wait-leak");
    assert_owned_here(finding);
    assert_eq!(evidence(finding, "in CLOSE_WAIT"), MANY as u64, "{finding:#}");
    assert_eq!(evidence(finding, "at the first scan"), 0);
    assert_eq!(finding["peers"][0]["address"], "192.0.2.1");
}

/// The same load, by a program that closes.
#[test]
fn a_program_that_closes() {
    let Some(lab) = Lab::new("a_program_that_closes") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(5, &[], move || {
        let listener = listen(ports.listen(Family::V4));
        for _ in 0..MANY {
            let (client, server) = pair(&listener, ports.connect(Family::V4));
            drop(client);
            read_end(&server);
            sleep(Duration::from_millis(100));
            drop(server);
        }
        listener
    });
    diagnosis.assert_healthy();
}

#[test]
fn a_peer_that_does_not_acknowledge() {
    let Some(lab) = Lab::new("a_peer_that_does_not_acknowledge") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(5, &[], move || {
        let (pairs, listener) = pairs(ports, MANY);
        for (client, server) in &pairs {
            deafen(server);
            client.shutdown(Shutdown::Write).expect("shutdown");
        }
        (pairs, listener)
    });
    let finding = diagnosis.one("fin-wait1-stuck");
    assert_eq!(evidence(finding, "stuck"), MANY as u64, "{finding:#}");
    assert_eq!(evidence(finding, "sent again without an answer"), MANY as u64, "{finding:#}");
    assert_eq!(finding["confidence"]["level"], "high");
    assert_owned_here(finding);
}

/// Closed here, not there; and the program here keeps the socket.
#[test]
fn a_peer_that_does_not_close() {
    let Some(lab) = Lab::new("a_peer_that_does_not_close") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(5, &["--only", "fin-wait2-stuck"], move || {
        sysctl("net/ipv4/tcp_fin_timeout", "2");
        let (pairs, listener) = pairs(ports, MANY);
        for (client, server) in &pairs {
            client.shutdown(Shutdown::Write).expect("shutdown");
            read_end(server);
        }
        (pairs, listener)
    });
    let finding = diagnosis.one("fin-wait2-stuck");
    assert_eq!(evidence(finding, "stuck"), MANY as u64, "{finding:#}");
    assert_owned_here(finding);
}

/// A half-closed connection that is still in use, for less than `tcp_fin_timeout`.
#[test]
fn half_closed_and_in_use() {
    let Some(lab) = Lab::new("half_closed_and_in_use") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(4, &["--skip", "close-wait-leak"], move || {
        let (pairs, listener) = pairs(ports, MANY);
        for (client, server) in &pairs {
            client.shutdown(Shutdown::Write).expect("shutdown");
            read_end(server);
            server.send(b"still here").expect("send");
        }
        (pairs, listener)
    });
    diagnosis.assert_healthy();
}

#[test]
fn a_last_acknowledgement_that_does_not_come() {
    let Some(lab) = Lab::new("a_last_acknowledgement_that_does_not_come") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(5, &["--only", "last-ack-stuck"], move || {
        let (pairs, listener) = pairs(ports, MANY);
        let clients: Vec<Socket> = pairs
            .into_iter()
            .map(|(client, server)| {
                client.shutdown(Shutdown::Write).expect("shutdown");
                read_end(&server);
                deafen(&client);
                drop(server);
                client
            })
            .collect();
        (clients, listener)
    });
    let finding = diagnosis.one("last-ack-stuck");
    assert_eq!(evidence(finding, "stuck"), MANY as u64, "{finding:#}");
}

#[test]
fn both_close_at_once_and_one_hears_nothing() {
    let Some(lab) = Lab::new("both_close_at_once_and_one_hears_nothing") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(6, &["--only", "closing-pileup"], move || {
        let (pairs, listener) = pairs(ports, MANY);
        for (client, server) in &pairs {
            deafen(client);
            deafen(server);
            client.shutdown(Shutdown::Write).expect("shutdown");
            server.shutdown(Shutdown::Write).expect("shutdown");
            hear(server);
        }
        (pairs, listener)
    });
    let finding = diagnosis.one("closing-pileup");
    assert_eq!(evidence(finding, "stuck"), MANY as u64, "{finding:#}");
}

/// Connections that fall silent, whose client comes back on another one, in use until the end. `leave` says what stays of
/// the silent ones.
fn silence<T>(ports: Ports, leave: impl Fn((Socket, Socket)) -> T) -> (Vec<T>, (Socket, Socket), Socket) {
    let (silent, listener) = pairs(ports, MANY);
    sleep(Duration::from_secs(2));
    // Before the others leave, so that it has no port of theirs.
    let newer = pair(&listener, ports.connect(Family::V4));
    let silent = silent.into_iter().map(leave).collect();
    for _ in 0..20 {
        newer.0.send(b"I am back").expect("send");
        sleep(Duration::from_millis(200));
    }
    (silent, newer, listener)
}

/// Ends a client so that its server does not hear of it.
fn vanish((client, server): (Socket, Socket)) -> Socket {
    deafen(&server);
    abort(client);
    server
}

/// Their ends would be in this namespace, as that of the one in use is.
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

/// A server that sends news to clients which are cut off.
#[test]
fn clients_that_do_not_answer() {
    let Some(lab) = Lab::new("clients_that_do_not_answer") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(5, &[], move || {
        let (pairs, listener) = pairs(ports, MANY);
        for (client, server) in &pairs {
            acts::exchange(client, server);
            deafen(client);
            server.send(b"news").expect("send");
        }
        (pairs, listener)
    });
    let finding = diagnosis.one("phantom-established");
    assert_eq!(evidence(finding, "with data that nobody acknowledges"), MANY as u64, "{finding:#}");
    assert_eq!(evidence(finding, "bytes that nobody acknowledges"), 4 * MANY as u64, "{finding:#}");
    assert_eq!(finding["severity"], "warning", "{finding:#}");
    assert_owned_here(finding);
}

/// As silent, and both ends are there to be seen: a pool of which one connection is in use.
#[test]
fn clients_that_stay() {
    let Some(lab) = Lab::new("clients_that_stay") else { return };
    let ports = lab.slot.ports_to_bind();
    lab.watch(5, &[], move || silence(ports, |pair| pair)).assert_healthy();
}

/// The server's namespace alone is watched, so that nobody sees the clients' ends.
fn client_of(lab: &Lab) -> Namespace {
    let namespace = Namespace::new(&lab.slot.ephemeral());
    lab.namespace.join(&namespace);
    namespace
}

fn accept_one(lab: &Lab) {
    lab.namespace.run(|| keep(|kept| vec![accept(&kept[0])]));
}

/// A host whose link goes down loses everything, and comes back with the same address, again and again. Nobody tells the
/// server.
#[test]
fn clients_behind_a_link_that_goes_down() {
    let Some(lab) = Lab::new("clients_behind_a_link_that_goes_down") else { return };
    let address = SocketAddr::from(([198, 51, 100, 1], lab.slot.port(0)));
    lab.namespace.run(move || keep(|_| vec![listen(SocketAddr::from(([0, 0, 0, 0], address.port())))]));
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut last = None;
            for round in 0..4 {
                // Longer than from one scan to the next.
                sleep(Duration::from_millis(if round == 0 { 1_000 } else { 2_700 }));
                if last.take().is_some() {
                    lab.namespace.run(|| tool("ip", ["link", "delete", "veth0"]));
                }
                let client = client_of(&lab);
                // By the port of an old one, that would find out.
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
                // Its FIN goes nowhere, and with the host everything of it is gone.
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
    /// What later jobs of the same namespace work with; they end with its thread.
    static KEPT: RefCell<Vec<Socket>> = const { RefCell::new(Vec::new()) };
}

fn keep(more: impl FnOnce(&[Socket]) -> Vec<Socket>) {
    KEPT.with_borrow_mut(|kept| {
        let mut more = more(kept);
        kept.append(&mut more);
    });
}

/// A web server whose clients keep their connections and ask again and again.
#[test]
fn a_busy_server_with_keep_alive() {
    let Some(lab) = Lab::new("a_busy_server_with_keep_alive") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(4, &[], move || {
        let (pairs, listener) = pairs(ports, 30);
        for _ in 0..20 {
            for (client, server) in &pairs {
                acts::exchange(client, server);
            }
            sleep(Duration::from_millis(200));
        }
        (pairs, listener)
    });
    diagnosis.assert_healthy();
}

/// Clients as silent and gone, of a server that would find out.
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

const REQUEST: &[u8] = b"GET / HTTP/1.0\r\n\r\n";

/// Waits until the request is there, and leaves it unread.
fn asked(client: &Socket, server: &Socket) {
    client.send(REQUEST).expect("send");
    peek(server);
}

/// A server that throws away what its clients have asked.
#[test]
fn a_server_that_resets() {
    let Some(lab) = Lab::new("a_server_that_resets") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(4, &[], move || {
        let listener = listen(ports.listen(Family::V4));
        for _ in 0..25 {
            let (client, server) = pair(&listener, ports.connect(Family::V4));
            asked(&client, &server);
            abort(server);
            drop(client);
        }
        listener
    });
    let finding = diagnosis.one("reset-storm");
    // Each has two ends on this host, one that resets and one that is reset, and is one connection.
    assert_eq!(evidence(finding, "by a reset"), 25, "{finding:#}");
    assert_eq!(evidence(finding, "of these sent by this host"), 25, "{finding:#}");
    assert_eq!(evidence(finding, "with data that was not sent, acknowledged or read"), 25, "{finding:#}");
    assert_owned_here(finding);
}

/// Clients that do not wait for their answer, and there are many. Their ends are hidden, and are of this host.
#[test]
fn clients_that_reset() {
    let Some(lab) = Lab::new("clients_that_reset") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(4, &["-L", &lab.slot.port(0).to_string()], move || {
        let listener = listen(ports.listen(Family::V4));
        // Once a look has seen the addresses.
        sleep(Duration::from_secs(1));
        for _ in 0..25 {
            let (client, server) = pair(&listener, ports.connect(Family::V4));
            asked(&client, &server);
            abort(client);
            let mut request = [0; REQUEST.len()];
            (&server).read_exact(&mut request).expect("what was asked can still be read");
            read_error(&server);
        }
        listener
    });
    let finding = diagnosis.one("reset-storm");
    assert_eq!(evidence(finding, "by a reset"), 25, "{finding:#}");
    assert_eq!(evidence(finding, "with a request that had no answer"), 25, "{finding:#}");
    assert_eq!(finding["peers"][0]["address"], "192.0.2.1", "{finding:#}");
}

/// Checks that a port is open, and others that have their answer: each ends by a reset, by design.
#[test]
fn health_checks_by_reset() {
    let Some(lab) = Lab::new("health_checks_by_reset") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(4, &[], move || {
        let listener = listen(ports.listen(Family::V4));
        for number in 0..50 {
            let (client, server) = pair(&listener, ports.connect(Family::V4));
            if number % 2 == 0 {
                acts::exchange(&client, &server);
            }
            abort(client);
            read_error(&server);
        }
        listener
    });
    diagnosis.assert_healthy();
    let [finding] = diagnosis.all("reset-storm")[..] else { panic!("told of: {:#}", diagnosis.json) };
    assert_eq!(evidence(finding, "without a loss"), 50, "{finding:#}");
}

/// A proxy that gives up and closes, while its upstream on the same host still answers.
#[test]
fn a_proxy_that_gives_up() {
    let Some(lab) = Lab::new("a_proxy_that_gives_up") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(4, &[], move || {
        let listener = listen(ports.listen(Family::V4));
        for _ in 0..25 {
            let (proxy, mut upstream) = pair(&listener, ports.connect(Family::V4));
            asked(&proxy, &upstream);
            drop(proxy);
            let mut request = Vec::new();
            upstream.read_to_end(&mut request).expect("what was asked, and the end");
            upstream.send(b"too late").expect("send");
        }
        listener
    });
    let finding = diagnosis.one("reset-storm");
    let summary = finding["summary"].as_str().expect("text");
    assert!(summary.contains("by this host") && summary.ends_with("had closed first"), "{summary}");
    assert_eq!(evidence(finding, "of these sent by this host"), 25, "{finding:#}");
    assert_eq!(evidence(finding, "with a request that had no answer"), 25, "{finding:#}");
    assert_owned_here(finding);
}

/// With `tcp_abort_on_overflow` the kernel resets clients that a full queue has no room for; the server knows nothing of
/// them. The queue is full once the SYN-ACK, sent again, arrives.
#[test]
fn clients_that_a_full_queue_resets() {
    let Some(lab) = Lab::new("clients_that_a_full_queue_resets") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(6, &["--only", "reset-storm"], move || {
        sysctl("net/ipv4/tcp_abort_on_overflow", "1");
        let (listener, address) = (listen(ports.listen(Family::V4)), ports.connect(Family::V4));
        let clients: Vec<_> = (0..25)
            .map(|_| {
                let client = socket(address);
                deafen(&client);
                begin_connect(&client, address);
                client
            })
            .collect();
        listener.listen(0).expect("listen");
        let served = connect(address);
        clients.iter().for_each(hear);
        (listener, served, clients)
    });
    let finding = diagnosis.one("reset-storm");
    let summary = finding["summary"].as_str().expect("text");
    assert!(summary.contains("by this host: the accept queue of"), "{summary}");
    assert_eq!(evidence(finding, "of clients that nobody had accepted"), 25, "{finding:#}");
    assert_owned_here(finding);
}

/// One client in a hurry among many.
#[test]
fn one_reset() {
    let Some(lab) = Lab::new("one_reset") else { return };
    let ports = lab.slot.ports_to_bind();
    let diagnosis = lab.watch(4, &[], move || {
        acts::linger_zero(ports, Family::V4);
        let listener = listen(ports.listen(Family::V4));
        for _ in 0..25 {
            let client = connect(ports.connect(Family::V4));
            drop((accept(&listener), client));
        }
        listener
    });
    diagnosis.assert_healthy();
}
