//! memcached with a pool of clients that are mostly idle.

use std::{io, net::SocketAddr, process::Command, time::Duration};

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

pub(super) const SITUATIONS: [Situation; 1] = [Situation::honest("memcached/pool", &["memcached"], pool)];

pub(super) fn start(place: &Place, options: &[&str]) -> Daemon {
    let mut command = Command::new(program("memcached"));
    command
        .args(["-u", "root", "-l", "198.51.100.1", "-p", "11211", "-U", "0", "-m", "16", "-t", "2"])
        .args(options);
    place.serve("memcached", command, 11211)
}

fn fetch(client: &mut Client) -> io::Result<()> {
    client.ask("set k 0 0 5\r\nhello\r\n", |line| line == "STORED")?;
    client.ask("get k\r\n", |line| line == "END").map(drop)
}

/// Connections received, and current connections; both include the connection of this request.
fn statistics(server: SocketAddr) -> io::Result<[u64; 2]> {
    let lines = Client::connect(server)?.ask("stats\r\n", |line| line == "END")?;
    let number = |name: &str| {
        let line = lines.iter().find_map(|line| line.strip_prefix("STAT ")?.strip_prefix(name));
        line.and_then(|value| value.trim().parse().ok()).ok_or_else(|| io::Error::other(lines.join("\n")))
    };
    Ok([number("total_connections ")?, number("curr_connections ")?])
}

fn pool(place: &Place) -> Result<String, String> {
    const IDLE: u64 = 200;
    let memcached = start(place, &[]);
    let [before, _] = place.clients.run(|| statistics(at(11211))).expect("its statistics");
    let mut watch = Watch::servers(place);
    let idle = place.clients.hold(|| Client::served(at(11211), 200, fetch));
    let time = place.work();
    let habit = Habit { clients: 3, requests: 100, pause: Duration::from_millis(20), time };
    let made = place.clients.run(move || work(at(11211), habit, fetch));
    let diagnosis = watch.diagnosis();
    let [after, _] = place.clients.run(|| statistics(at(11211))).expect("its statistics");
    drop(idle);
    let ended = watch.ended().accepted(11211);
    drop(memcached);
    let mut checks = Checks::of(&ended);
    checks.honest(&diagnosis);
    checks.that("every request answered", made.failed + made.closed == 0, format!("{made:?}"));
    checks.equal("total_connections", ended.count(), after - before);
    checks.equal("clients", ended.count(), IDLE + made.connections + 1);
    checks.owned_by("accepted ones", &ended, "memcached");
    checks.equal("closed by the client first", ended.by("passive_close").count(), after - before);
    checks.verdict()
}
