//! redis at normal work: many idle clients, and some busy ones.

use std::{io, net::SocketAddr, process::Command, thread, time::Duration};

use super::{
    Situation,
    checks::Checks,
    client::Client,
    daemon::Daemon,
    habit::{Habit, work},
    place::{Place, at},
    program,
    watch::Watch,
};

pub(super) const SITUATIONS: [Situation; 4] = [
    Situation::honest("redis/idle without keepalive", &["redis-server"], |place| idle(place, 0)),
    Situation::honest("redis/idle with keepalive", &["redis-server"], |place| idle(place, 300)),
    Situation::honest("redis/slow command", &["redis-server"], slow_command),
    Situation::honest("redis/benchmark", &["redis-server", "redis-benchmark"], benchmark),
];

/// redis without persistence, with these options.
pub(super) fn start(place: &Place, options: &[&str]) -> Daemon {
    let mut command = Command::new(program("redis-server"));
    command
        .args(["--port", "6379", "--bind", "198.51.100.1", "--protected-mode", "no", "--save", ""])
        .args(options);
    place.serve("redis", command, 6379)
}

/// The request of a client.
pub(super) fn ping(client: &mut Client) -> io::Result<()> {
    client.ask("PING\r\n", |line| line == "+PONG").map(drop)
}

/// Two numbers of redis' own statistics: connections received, and connected clients. Both include this connection.
pub(super) fn info(server: SocketAddr) -> io::Result<[u64; 2]> {
    let mut client = Client::connect(server)?;
    let mut lines = Vec::new();
    for section in ["clients", "stats"] {
        client.send(&format!("INFO {section}\r\n"))?;
        let size: usize = client.line()?.trim_start_matches('$').parse().map_err(io::Error::other)?;
        let mut read = 0;
        while read < size {
            let line = client.line()?;
            read += line.len() + 2;
            lines.push(line);
        }
        client.line()?;
    }
    let number = |name: &str| {
        let line = lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|value| value.parse().ok())
            .ok_or_else(|| io::Error::other(format!("no {name} in {lines:?}")))
    };
    Ok([number("total_connections_received")?, number("connected_clients")?])
}

/// Established connections of a port of the servers, as `tcptrace sockets` prints them.
fn established(place: &Place, port: u16) -> u64 {
    let mut command = Command::new(crate::machine::tcptrace());
    command.args([
        "sockets",
        "-o",
        "json",
        "--netns",
        place.servers.path(),
        "--local-port",
        &port.to_string(),
    ]);
    let output = crate::process::output(&mut command);
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().filter(|line| line.contains("\"state\":\"ESTABLISHED\"")).count() as u64
}

/// Five hundred clients that send nothing after their first request, and four that go on.
fn idle(place: &Place, keepalive: u32) -> Result<String, String> {
    const IDLE: u64 = 500;
    let redis = start(place, &["--tcp-keepalive", &keepalive.to_string()]);
    let [before, _] = place.clients.run(|| info(at(6379))).expect("redis tells its statistics");
    let mut watch = Watch::servers(place);
    let idle = place.clients.hold(|| Client::served(at(6379), 500, ping));
    let time = place.work();
    let habit = Habit { clients: 4, requests: 200, pause: Duration::from_millis(20), time };
    let made = place.clients.run(move || work(at(6379), habit, ping));
    let diagnosis = watch.diagnosis();
    thread::sleep(Duration::from_millis(200));
    let listed = established(place, 6379);
    let [after, connected] = place.clients.run(|| info(at(6379))).expect("redis tells its statistics");
    drop(idle);
    let ended = watch.ended().accepted(6379);
    drop(redis);
    let mut checks = Checks::of(&ended);
    checks.honest(&diagnosis);
    checks.that("every request answered", made.failed + made.closed == 0, format!("{made:?}"));
    checks.equal("total_connections_received", ended.count(), after - before);
    // The connection of the query did not exist yet when the sockets were dumped.
    checks.equal("connected_clients", listed + 1, connected);
    checks.equal("clients", ended.count(), IDLE + made.connections + 1);
    checks.owned_by("accepted ones", &ended, "redis-server");
    checks.equal("closed by the client first", ended.by("passive_close").count(), after - before);
    checks.verdict()
}

/// redis' own benchmark, repeatedly, with connections that stay open and with new ones.
fn benchmark(place: &Place) -> Result<String, String> {
    let redis = start(place, &[]);
    let [before, _] = place.clients.run(|| info(at(6379))).expect("redis tells its statistics");
    let mut watch = Watch::servers(place);
    let mut time = Duration::from_secs(1);
    let mut rounds = 0;
    while time < place.work() {
        for keep in ["1", "0"] {
            let mut command = Command::new(program("redis-benchmark"));
            command.args([
                "-h",
                "198.51.100.1",
                "-c",
                "20",
                "-n",
                "400",
                "-t",
                "ping_mbulk",
                "-q",
                "-k",
                keep,
            ]);
            place.run_in(&place.clients, "benchmark", command, Duration::from_secs(30));
        }
        rounds += 1;
        time += Duration::from_secs(4);
        watch.wait(time);
    }
    let diagnosis = watch.diagnosis();
    let [after, _] = place.clients.run(|| info(at(6379))).expect("redis tells its statistics");
    let ended = watch.ended().accepted(6379);
    drop(redis);
    let mut checks = Checks::of(&ended);
    checks.honest(&diagnosis);
    checks.that(format!("{rounds} rounds"), rounds > 0, "none");
    checks.equal("total_connections_received", ended.count(), after - before);
    checks.owned_by("accepted ones", &ended, "redis-server");
    checks.verdict()
}

/// At intervals a command takes half a second. In that time redis accepts and reads nothing, so other clients wait for
/// moments.
fn slow_command(place: &Place) -> Result<String, String> {
    let redis = start(place, &["--enable-debug-command", "yes"]);
    let [before, _] = place.clients.run(|| info(at(6379))).expect("redis tells its statistics");
    let mut watch = Watch::servers(place);
    let time = place.work();
    let made = place.clients.run(move || {
        let slow = Habit { clients: 1, requests: u64::MAX, pause: Duration::from_secs(3), time };
        let sleep = |client: &mut Client| client.ask("DEBUG SLEEP 0.5\r\n", |line| line == "+OK").map(drop);
        let slow = thread::spawn(move || work(at(6379), slow, sleep));
        let short = Habit { clients: 4, requests: 3, pause: Duration::from_millis(50), time };
        let mut made = work(at(6379), short, ping);
        made += slow.join().expect("it ends well");
        made
    });
    let diagnosis = watch.diagnosis();
    let [after, _] = place.clients.run(|| info(at(6379))).expect("redis tells its statistics");
    let ended = watch.ended().accepted(6379);
    drop(redis);
    let mut checks = Checks::of(&ended);
    checks.honest(&diagnosis);
    checks.that("every request answered", made.failed + made.closed == 0, format!("{made:?}"));
    checks.equal("total_connections_received", ended.count(), after - before);
    checks.owned_by("accepted ones", &ended, "redis-server");
    checks.verdict()
}
