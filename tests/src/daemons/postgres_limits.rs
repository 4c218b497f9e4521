//! PostgreSQL at its maximum of connections.

use std::{process::Command, thread, time::Duration};

use super::{
    Situation,
    checks::Checks,
    client::Client,
    place::{Place, at},
    postgres::start,
    program,
    watch::Watch,
};

pub(super) const SITUATIONS: [Situation; 1] =
    [Situation::fault("postgres/too many clients", &["postgres", "initdb", "psql"], too_many)];

/// All connections are taken. TCP accepts more clients; the server sends them an error, and they leave. There is no
/// fault in the network: neither the clients that have a connection nor the server must be blamed.
fn too_many(place: &Place) -> Result<String, String> {
    let server = start(place, 8);
    let mut watch = Watch::servers(place);
    let mut sleepers = Vec::new();
    for _ in 0..7 {
        let mut psql = Command::new(program("psql"));
        psql.args(["-h", "198.51.100.1", "-U", "test", "-d", "postgres", "-c"]);
        psql.arg(format!("select pg_sleep({})", place.seconds + 5));
        sleepers.push(place.start_in(&place.clients, "sleeper", psql));
    }
    let mut turned_away = 0_u64;
    let time = place.work();
    let mut next = Duration::from_secs(2);
    while next < time {
        watch.wait(next);
        let mut psql = Command::new(program("psql"));
        // The first of these takes the connection that is reserved for superusers.
        psql.args(["-h", "198.51.100.1", "-U", "test", "-d", "postgres", "-c", "select pg_sleep(60)"]);
        let name = format!("turned-away-{}", next.as_millis());
        let one = place.start_in(&place.clients, &name, psql);
        thread::sleep(Duration::from_millis(400));
        if one.said().contains("too many clients") {
            turned_away += 1;
        } else {
            sleepers.push(one);
        }
        next += Duration::from_millis(600);
    }
    // Also some clients that only connect; the server closes their connections.
    place.clients.run(|| drop(Client::many(at(5432), 3)));
    let diagnosis = watch.diagnosis();
    let log = server.said();
    let healthy: Vec<u32> = server.children();
    drop(sleepers);
    let mut checks = Checks::default();
    let said = log.lines().filter(|line| line.contains("FATAL:") && line.contains("too many clients")).count()
        as u64;
    checks.that(
        format!("{turned_away} clients turned away by PostgreSQL"),
        turned_away >= 5 && said >= turned_away,
        format!("{said} in its log"),
    );
    checks.blames_none_of(&diagnosis, &healthy);
    checks
        .not_found(&diagnosis, &["nobody-accepts", "accept-queue-overflow", "stalled", "connection-refused"]);
    checks.not_found(&diagnosis, &["reset-storm", "close-wait-leak", "phantom-established"]);
    checks.verdict()
}
