//! PostgreSQL: a benchmark, and a pool in front of it.

use std::{fs, os::unix::process::CommandExt as _, process::Command, thread, time::Duration};

use nix::{
    sys::signal::Signal,
    unistd::{User, chown},
};

use super::{Situation, checks::Checks, daemon::Daemon, place::Place, program, watch::Watch};

pub(super) const SITUATIONS: [Situation; 2] = [
    Situation::honest("postgres/benchmark", &["postgres", "initdb", "pgbench", "psql"], benchmark),
    Situation::honest("postgres/pool", &["postgres", "initdb", "pgbench", "psql", "pgbouncer"], pool),
];

const LIMIT: Duration = Duration::from_mins(1);

/// PostgreSQL does not run as root.
fn user() -> User {
    let of = |name| User::from_name(name).ok().flatten();
    of("postgres").or_else(|| of("nobody")).expect("a user that is not root")
}

/// A command as that user.
fn command(name: &str) -> Command {
    let user = user();
    let mut command = Command::new(program(name));
    command.uid(user.uid.as_raw()).gid(user.gid.as_raw()).env("LC_ALL", "C");
    command
}

/// Makes a new database, and starts its server with at most this many connections.
pub(super) fn start(place: &Place, most: u32) -> Daemon {
    let (user, data) = (user(), place.path("data"));
    fs::create_dir(&data).expect("a folder");
    chown(&data, Some(user.uid), Some(user.gid)).expect("its owner");
    let mut init = command("initdb");
    init.args(["--no-sync", "--auth=trust", "--username=test", "--no-instructions", "-D"]).arg(&data);
    let said = place.run_in(&place.servers, "initdb", init, LIMIT);
    let rules = data.join("pg_hba.conf");
    let mut text = fs::read_to_string(&rules).unwrap_or_else(|_| panic!("initdb has failed: {said}"));
    text += "\nhost all all 198.51.100.0/24 trust\n";
    fs::write(rules, text).expect("rules");
    let mut server = command("postgres");
    server.arg("-D").arg(&data).args([
        "-c",
        "listen_addresses=198.51.100.1",
        "-c",
        "fsync=off",
        "-c",
        "log_connections=on",
    ]);
    server.args(["-c", &format!("max_connections={most}"), "-c", "superuser_reserved_connections=1"]);
    server.arg("-c").arg(format!("unix_socket_directories={}", data.display()));
    // With SIGTERM, the server waits for its clients.
    let server = place.serve("postgres", server, 5432).ended_by(Signal::SIGINT);
    // The server listens before it accepts sessions.
    crate::wait::eventually("PostgreSQL is ready", || server.said().contains("ready to accept connections"));
    server
}

/// The result of a query over the server's own socket, which is not TCP.
fn ask(place: &Place, question: &str) -> String {
    let mut psql = command("psql");
    psql.args(["-U", "test", "-d", "postgres", "-At", "-c", question, "-h"]).arg(place.path("data"));
    let output = crate::process::output(&mut psql);
    assert!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Runs `pgbench` in the clients' namespace against a port.
fn pgbench(place: &Place, name: &str, port: &str, arguments: &[&str], time: Duration) -> Daemon {
    let mut bench = Command::new(program("pgbench"));
    bench.args(["-h", "198.51.100.1", "-p", port, "-U", "test", "-n", "-f"]);
    bench.arg(place.write("select.sql", "select 1;\n")).args(arguments);
    bench.arg("-T").arg(time.as_secs().to_string()).arg("postgres");
    place.start_in(&place.clients, name, bench)
}

/// Counts from the server's log: TCP connections received, and connections authorized.
fn logged(server: &Daemon) -> [u64; 2] {
    let log = server.said();
    let received = log.lines().filter(|line| line.contains("connection received: host=198.51.100.")).count();
    let let_in = log.lines().filter(|line| line.contains("connection authorized: ")).count();
    [received as u64, let_in as u64]
}

/// Clients that keep their connections, and clients that connect for each query.
fn benchmark(place: &Place) -> Result<String, String> {
    let server = start(place, 60);
    let mut watch = Watch::servers(place);
    let time = place.work();
    let stay = pgbench(place, "stay", "5432", &["-c", "4", "-R", "100"], time);
    let again = pgbench(place, "again", "5432", &["-c", "3", "-C", "-R", "30"], time);
    // Queried while the clients are at work.
    watch.wait(time / 2);
    let active: u64 = ask(place, "select count(*) from pg_stat_activity where client_addr is not null")
        .parse()
        .expect("a number");
    let said = [stay, again].map(|bench| bench.finish(time + LIMIT));
    let diagnosis = watch.diagnosis();
    let sessions = ask(
        place,
        "select sessions, sessions_abandoned, sessions_fatal, sessions_killed from pg_stat_database \
                               where datname = 'postgres'",
    );
    let ended = watch.ended().accepted(5432);
    let [received, _] = logged(&server);
    let postmaster = server.pid();
    drop(server);
    let mut checks = Checks::of(&ended);
    checks.honest(&diagnosis);
    let holds = said.iter().all(|said| said.contains("number of failed transactions: 0"));
    checks.that("every transaction is done", holds, said.join("\n"));
    checks.that(format!("{active} in pg_stat_activity"), (4..=8).contains(&active), "from 4 to 8");
    checks.equal("connections in its log", ended.count(), received);
    checks.owned_by("accepted ones", &ended, "postgres");
    // Each connection has its own process; the accepting process passes the connection on.
    let own = ended.with(|line| line["owner"]["pid"] != postmaster).count();
    checks.that("each of a process of its own", own == ended.count(), format!("{own} of {}", ended.count()));
    // PostgreSQL counts the queries over its own socket, too, but not yet the second of them.
    let ends: Vec<u64> = sessions.split('|').map(|number| number.parse().expect("a number")).collect();
    checks.that(
        format!("sessions in pg_stat_database {}", ends[0]),
        ends[0].abs_diff(received) <= 2 && ends[2] == 0 && ends[3] == 0,
        format!("{sessions} for {received}"),
    );
    checks.that(
        "no resets",
        ended.by("reset_by_peer").count() + ended.by("reset_unread").count() == 0,
        ended.causes(),
    );
    checks.verdict()
}

/// A pool: many clients, and few connections to the server, most of them idle.
fn pool(place: &Place) -> Result<String, String> {
    let server = start(place, 60);
    place.write("users", "\"test\" \"\"\n");
    let config = place.write(
        "pgbouncer.ini",
        "[databases]\npostgres = host=198.51.100.1 port=5432 user=test\n[pgbouncer]\nlisten_addr = 198.51.100.1\n\
         listen_port = 6432\nauth_type = trust\nauth_file = @/users\npool_mode = transaction\ndefault_pool_size = 5\n\
         min_pool_size = 5\nunix_socket_dir =\nadmin_users = test\nstats_period = 60\n",
    );
    let mut command = command("pgbouncer");
    command.arg(config);
    let bouncer = place.serve("pgbouncer", command, 6432);
    let mut watch = Watch::servers(place);
    let time = place.work();
    let stay = pgbench(place, "stay", "6432", &["-c", "20", "-R", "40"], time);
    let again = pgbench(place, "again", "6432", &["-c", "2", "-C", "-R", "20"], time);
    let said = [stay, again].map(|bench| bench.finish(time + LIMIT));
    let diagnosis = watch.diagnosis();
    let log = bouncer.said();
    drop(bouncer);
    thread::sleep(Duration::from_millis(500));
    let ended = watch.ended();
    let [received, _] = logged(&server);
    drop(server);
    let came = log.lines().filter(|line| line.contains("login attempt: ")).count() as u64;
    let (front, behind, made) = (ended.accepted(6432), ended.accepted(5432), ended.made(5432));
    let mut checks = Checks::of(&ended);
    checks.honest(&diagnosis);
    let holds = said.iter().all(|said| said.contains("number of failed transactions: 0"));
    checks.that("every transaction is done", holds, said.join("\n"));
    checks.equal("logins at the pool", front.count(), came);
    checks.owned_by("those at the pool", &front, "pgbouncer");
    checks.equal("connections in the server's log", behind.count(), received);
    checks.owned_by("those at the server", &behind, "postgres");
    checks.equal("made by the pool", made.count(), received);
    checks.owned_by("what the pool made", &made, "pgbouncer");
    checks.verdict()
}
