//! The bytes in `life` are the bytes that the programs wrote and read, however the connection ended.

use std::{collections::BTreeMap, io::Read as _, net::Shutdown, thread::sleep, time::Duration};

use socket2::Socket;
use tcptrace_tests::{
    fixture::{Fixture, Ports},
    machine::{Hook, is_root, is_slow},
    net::{Family, abort, accept, bound_to, deafen, hear, listen, read_end, read_error, socket},
    process::at_once,
    replay::{Obstacle, play_until_comparable},
    tracer::{Report, Tracer},
    wait::eventually,
};

/// The bytes that a program wrote to a connection and read from it, by its own count; keyed by local and remote port.
type Counted = BTreeMap<(u16, u16), (u64, u64)>;

/// The ways to end a connection, each with a different pair of sizes.
struct Ways {
    listener: Socket,
    ports: Ports,
    counted: Counted,
    /// Bytes that the client wrote and read.
    sizes: (usize, usize),
    /// The port of the next client. Each client has its own.
    next: u16,
}

impl Ways {
    /// A connection that has carried data in both directions, all of it acknowledged.
    fn connection(&mut self) -> (Socket, Socket) {
        self.sizes = (self.sizes.0 + 1_111, self.sizes.1 + 7);
        let (client, server) = self.pair();
        let (to, fro) = self.sizes;
        write(&client, &server, to);
        write(&server, &client, fro);
        self.count(&client, (to, fro));
        self.count(&server, (fro, to));
        (client, server)
    }

    fn pair(&mut self) -> (Socket, Socket) {
        let client = socket(self.ports.connect(Family::V4));
        client.bind(&Family::V4.connect(self.ports.port(self.next)).into()).expect("bind");
        self.next += 1;
        client.connect(&self.ports.connect(Family::V4).into()).expect("connect");
        (client, accept(&self.listener))
    }

    fn count(&mut self, socket: &Socket, (written, read): (usize, usize)) {
        let peer = socket.peer_addr().expect("a peer").as_socket().expect("an address");
        let ends = (bound_to(socket).port(), peer.port());
        let (sent, received) = self.counted.entry(ends).or_default();
        *sent += written as u64;
        *received += read as u64;
    }
}

fn write(from: &Socket, mut to: &Socket, bytes: usize) {
    if bytes > 0 {
        assert_eq!(from.send(&vec![7; bytes]).expect("send"), bytes, "it fits");
        to.read_exact(&mut vec![0; bytes]).expect("all of it");
    }
}

/// Waits until everything is acknowledged: a reset would lose data that is sent with a delay.
fn settled() {
    sleep(Duration::from_millis(60));
}

fn exchange_in_every_way(
    ports: Ports,
    older: (Socket, Socket),
    older_counted: Counted,
    listener: Socket,
) -> Counted {
    let mut ways = Ways { listener, ports, counted: older_counted, sizes: (3, 100), next: 3 };
    // Active and passive close, either side first.
    let (client, server) = ways.connection();
    drop(client);
    read_end(&server);
    drop(server);
    let (client, server) = ways.connection();
    drop(server);
    read_end(&client);
    drop(client);
    // Half closed, with more data on the other half.
    for client_first in [true, false] {
        let (client, server) = ways.connection();
        let (first, last) = if client_first { (client, server) } else { (server, client) };
        first.shutdown(Shutdown::Write).expect("shutdown");
        read_end(&last);
        write(&last, &first, 4_321);
        ways.count(&last, (4_321, 0));
        ways.count(&first, (0, 4_321));
        drop(last);
        read_end(&first);
        drop(first);
    }
    // Reset by either side, also by a side that has closed its half.
    for client_resets in [true, false] {
        for half_closed in [true, false] {
            let (client, server) = ways.connection();
            let (first, last) = if client_resets { (client, server) } else { (server, client) };
            if half_closed {
                first.shutdown(Shutdown::Write).expect("shutdown");
                read_end(&last);
            }
            settled();
            abort(first);
            eventually("the reset arrives", || last.send(b"x").is_err());
            drop(last);
        }
    }
    // Simultaneous close: neither side receives the other's FIN until both have sent theirs.
    let (client, server) = ways.connection();
    settled();
    deafen(&client);
    deafen(&server);
    client.shutdown(Shutdown::Write).expect("shutdown");
    server.shutdown(Shutdown::Write).expect("shutdown");
    hear(&client);
    hear(&server);
    read_end(&client);
    read_end(&server);
    drop((client, server));
    // No data at all.
    let (client, server) = ways.pair();
    ways.count(&client, (0, 0));
    ways.count(&server, (0, 0));
    settled();
    abort(client);
    read_error(&server);
    drop(server);
    // A connection to itself, by a simultaneous open.
    let own = Family::V4.connect(ports.port(1));
    let itself = socket(own);
    itself.bind(&own.into()).expect("bind");
    itself.connect(&own.into()).expect("to itself");
    write(&itself, &itself, 77);
    ways.count(&itself, (77, 77));
    settled();
    itself.shutdown(Shutdown::Write).expect("shutdown");
    read_end(&itself);
    drop(itself);
    // The connection is pre-existing; the trace has dumped it by now.
    drop(older.0);
    read_end(&older.1);
    drop((older.1, ways.listener));
    ways.counted
}

#[test]
fn bytes_of_programs() {
    if is_root("bytes_of_programs") {
        play_until_comparable("bytes_of_programs", play);
    }
}

fn play() -> Result<(), Obstacle> {
    let world = Fixture::new();
    // The namespace is given by its path, since dumps do not find a namespace that only threads are in.
    let netns = world.namespace.path().to_owned();
    let ports = world.ports();
    let (older, counted, listener) = world.namespace.run(move || {
        let mut ways = Ways {
            listener: listen(ports.listen(Family::V4)),
            ports,
            counted: Counted::new(),
            sizes: (20, 30),
            next: 2,
        };
        let older = ways.connection();
        settled();
        (older, ways.counted, ways.listener)
    });
    let lives = at_once(Hook::ALL, |hook| Tracer::start_life(hook, &["-o", "json", "--netns", &netns]));
    let counted = world.namespace.run(move || exchange_in_every_way(ports, older, counted, listener));
    sleep(Duration::from_millis(600));
    let lives = at_once(lives, Tracer::stop);
    world.check_all_seen(&lives.each_ref())?;
    for life in &lives {
        assert_counted(life, counted.clone());
    }
    Ok(())
}

/// Asserts that each connection has a line, with the bytes that its program has counted.
fn assert_counted(life: &Report, mut missing: Counted) {
    for line in life.of_type("connection") {
        let port = |name: &str| u16::try_from(line[name].as_u64().expect("a port")).expect("a port");
        let Some((sent, received)) = missing.remove(&(port("lport"), port("rport"))) else {
            panic!("nobody made {line}");
        };
        if line["bytes_acked"].is_null() {
            assert!(line["tx_bytes"].is_null() && line["rx_bytes"].is_null(), "unknown is not 0: {line}");
            continue;
        }
        // Values that cannot be known are null, not wrong: for example without type information.
        let told = (line["tx_bytes"].as_u64(), line["rx_bytes"].as_u64());
        // A pre-existing connection has null values too: older kernels do not report the bytes it has sent, and a slow
        // machine may not dump it before it ends.
        let is_older = line["life_us"].is_null();
        let may_be_unknown = is_older && (line["cookie"] == 0 || is_slow());
        let sent = Some(sent).filter(|_| !may_be_unknown || line["tx_bytes"].is_u64());
        assert_eq!(told, (sent, Some(received)), "{line}");
    }
    assert!(missing.is_empty(), "no line has {missing:?}: {}", life.stdout);
}
