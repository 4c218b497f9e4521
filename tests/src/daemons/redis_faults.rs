//! redis that is made to fail, and clients of redis and memcached that forget to close.

use std::{
    net::TcpStream,
    process::Command,
    sync::mpsc::channel,
    thread,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;

use super::{
    Situation,
    checks::Checks,
    client::Client,
    place::{Place, at},
    program,
    redis::{ping, start},
    watch::Watch,
};

pub(super) const SITUATIONS: [Situation; 5] = [
    Situation::fault("redis/stopped, clients come", &["redis-server"], stopped_for_new),
    Situation::fault("redis/stopped, clients send", &["redis-server"], stopped_for_old),
    Situation::fault("redis/stopped, queue full", &["redis-server"], stopped_and_full),
    Situation::fault("redis/too many clients", &["redis-server"], too_many),
    Situation::fault("redis/leaking client", &["redis-server", "node"], leak),
];

/// redis is stopped. New connections wait in its queue.
fn stopped_for_new(place: &Place) -> Result<String, String> {
    let redis = start(place, &[]);
    let mut watch = Watch::servers(place);
    redis.signal(Signal::SIGSTOP);
    let waiting = place.clients.hold(|| Client::waiting(at(6379), 20, "PING\r\n"));
    let diagnosis = watch.diagnosis();
    drop(waiting);
    let mut checks = Checks::default();
    checks.found(&diagnosis, &["nobody-accepts", "stalled", "accept-queue-overflow"], redis.pid());
    checks.verdict()
}

/// redis is stopped with accepted clients. Their data fills its buffers, and they wait.
fn stopped_for_old(place: &Place) -> Result<String, String> {
    let redis = start(place, &[]);
    let (accepted, is_accepted) = channel();
    let (stopped, is_stopped) = channel::<()>();
    let time = place.work();
    let sending = place.clients.begin(move || {
        let mut clients = Client::served(at(6379), 8, ping);
        accepted.send(()).expect("the situation waits");
        is_stopped.recv().expect("the situation goes on");
        let end = Instant::now() + time;
        // More data than the buffers of both ends hold.
        let values = "SET k 0123456789012345678901234567890123456789\r\n".repeat(2_000);
        let all_wait = thread::scope(|scope| {
            let fill = |client| scope.spawn(|| Client::fill(client, &values, end).expect("it is connected"));
            let senders: Vec<_> = clients.iter_mut().map(fill).collect();
            senders.into_iter().all(|sender| sender.join().expect("it ends well"))
        });
        thread::sleep(end.saturating_duration_since(Instant::now()));
        all_wait
    });
    is_accepted.recv().expect("redis accepts them");
    let mut watch = Watch::servers(place);
    redis.signal(Signal::SIGSTOP);
    stopped.send(()).expect("the clients wait");
    let diagnosis = watch.diagnosis();
    let waited = sending.wait();
    let mut checks = Checks::default();
    checks.that("every client waits", waited, "one has sent all");
    checks.found(&diagnosis, &["stalled", "nobody-accepts"], redis.pid());
    checks.verdict()
}

/// redis is stopped with a short queue. The queue is full, and other connections are rejected.
fn stopped_and_full(place: &Place) -> Result<String, String> {
    let redis = start(place, &["--tcp-backlog", "8"]);
    let mut watch = Watch::servers(place);
    redis.signal(Signal::SIGSTOP);
    let time = place.work();
    let refused = place.clients.begin(move || {
        // The queue takes one more connection than its limit.
        let served = Client::many(at(6379), 9);
        let attempt = || TcpStream::connect_timeout(&at(6379), time).is_err();
        let late = thread::scope(|scope| {
            let late: Vec<_> = (0..6).map(|_| scope.spawn(attempt)).collect();
            late.into_iter().filter_map(|late| late.join().ok()).filter(|late| *late).count()
        });
        drop(served);
        late
    });
    let diagnosis = watch.diagnosis();
    let refused = refused.wait();
    let mut checks = Checks::default();
    checks.that(format!("{refused} of 6 turned away"), refused == 6, "the queue is longer");
    checks.found(&diagnosis, &["accept-queue-overflow"], redis.pid());
    checks.not_found(&diagnosis, &["syn-flood", "unreachable-destination", "reset-storm"]);
    checks.verdict()
}

/// redis has its maximum of clients. It accepts others, sends them an error, and closes: there is no fault in TCP.
fn too_many(place: &Place) -> Result<String, String> {
    let redis = start(place, &["--maxclients", "10"]);
    let mut watch = Watch::servers(place);
    let end = Instant::now() + place.work();
    let turned_away = place.clients.run(move || {
        let served = Client::many(at(6379), 10);
        let mut turned_away = 0;
        while Instant::now() < end {
            let mut late = Client::connect(at(6379)).expect("redis accepts");
            turned_away += u64::from(late.line().is_ok_and(|line| line.contains("max number of clients")));
            thread::sleep(Duration::from_millis(300));
        }
        drop(served);
        turned_away
    });
    let diagnosis = watch.diagnosis();
    let ended = watch.ended().accepted(6379);
    drop(redis);
    let mut checks = Checks::of(&ended);
    checks.that(format!("{turned_away} clients turned away by redis"), turned_away > 5, "fewer");
    checks.equal("connections", ended.count(), 10 + turned_away);
    checks.owned_by("accepted ones", &ended, "redis-server");
    checks
        .not_found(&diagnosis, &["nobody-accepts", "accept-queue-overflow", "stalled", "connection-refused"]);
    checks.not_found(&diagnosis, &["reset-storm", "close-wait-leak", "phantom-established"]);
    checks.verdict()
}

/// Connects five times a second, and does not close its side after the server has closed.
const LEAK: &str = "
const net = require('net');
setInterval(() => {
  const socket = net.connect({ port: 6379, host: '198.51.100.1', allowHalfOpen: true });
  socket.on('error', () => {});
  socket.write('PING\\r\\n');
  socket.resume();
}, 200);
";

/// redis closes clients that are idle for a second. A client with a limit of 400 files does not close its ends. At this
/// rate it reaches the limit in little over a minute.
fn leak(place: &Place) -> Result<String, String> {
    let redis = start(place, &["--timeout", "1"]);
    // The client runs in the watched namespace, since the leak is in the client.
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -n 400; exec \"$0\" \"$1\""])
        .arg(program("node"))
        .arg(place.write("leak.js", LEAK));
    let mut watch = Watch::start(place, &place.clients, place.seconds);
    let client = place.start_in(&place.clients, "leak", command);
    let diagnosis = watch.diagnosis();
    let mut checks = Checks::default();
    checks.found(&diagnosis, &["close-wait-leak"], client.pid());
    checks.blames_none_of(&diagnosis, &[redis.pid()]);
    checks.verdict()
}
