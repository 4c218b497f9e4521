//! haproxy at normal work: checks of every kind, and requests that it passes on.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    os::unix::net::UnixStream,
    process::Command,
    thread,
    time::Duration,
};

use super::{
    Situation,
    checks::Checks,
    client::get,
    daemon::Daemon,
    habit::{Habit, work},
    nginx::{self, BROWSERS, POOL},
    place::{Place, at},
    program, redis,
    watch::Watch,
};

pub(super) const SITUATIONS: [Situation; 3] = [
    Situation::honest("haproxy/checks", &["haproxy", "nginx"], checks),
    Situation::honest("haproxy/checks of redis", &["haproxy", "redis-server"], checks_of_redis),
    Situation::honest("haproxy/requests", &["haproxy", "nginx"], requests),
];

/// haproxy with these sections after the usual ones.
pub(super) fn start(place: &Place, sections: &str, port: u16) -> Daemon {
    let text = format!(
        "global\n  stats socket @/haproxy.sock\n  stats timeout 10s\n  nbthread 2\ndefaults\n  timeout connect 2s\n  \
         timeout client 30s\n  timeout server 30s\n  timeout check 2s\n{sections}"
    );
    let config = place.write("haproxy.cfg", &text);
    let mut command = Command::new(program("haproxy"));
    command.arg("-db").arg("-f").arg(config);
    place.serve("haproxy", command, port)
}

/// A line of `show stat`: its values by their names.
pub(super) type Row = HashMap<String, String>;

/// haproxy's counters, by proxy and server: `b/live`, `f/FRONTEND`.
pub(super) fn statistics(place: &Place) -> HashMap<String, Row> {
    let mut socket = UnixStream::connect(place.path("haproxy.sock")).expect("haproxy's statistics");
    socket.write_all(b"show stat\n").expect("a question");
    let lines: Vec<String> = BufReader::new(socket).lines().map(|line| line.expect("statistics")).collect();
    let names: Vec<&str> = lines[0].trim_start_matches("# ").split(',').collect();
    let row = |line: &String| {
        let row: Row =
            names.iter().zip(line.split(',')).map(|(name, value)| ((*name).into(), value.into())).collect();
        (format!("{}/{}", row["pxname"], row["svname"]), row)
    };
    lines[1..].iter().filter(|line| !line.is_empty()).map(row).collect()
}

/// One of haproxy's counters; an empty value is 0.
pub(super) fn number(row: &Row, name: &str) -> u64 {
    row.get(name).and_then(|value| value.parse().ok()).unwrap_or(0)
}

/// An agent that haproxy queries for the state of its server. It lives as long as the place.
fn agent(place: &Place) {
    place.servers.run(|| {
        let listener = TcpListener::bind("127.0.0.1:9100").expect("the agent's port");
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                // haproxy may have ended.
                let _ = stream.write_all(b"up\n");
            }
        });
    });
}

/// One server, which haproxy checks in each way once a second. There is no other traffic.
fn checks(place: &Place) -> Result<String, String> {
    let origin = nginx::start(place, "origin", "worker_processes 1;", &nginx::server("127.0.0.1:8080"), 8080);
    agent(place);
    let kinds = [
        ("tcp", "mode tcp", "check inter 1s"),
        ("http", "mode http\n  option httpchk GET /", "check inter 1s"),
        (
            "script",
            "mode tcp\n  option tcp-check\n  tcp-check connect\n  tcp-check send GET\\ /\\ HTTP/1.0\\r\\n\\r\\n\n  \
                    tcp-check expect string hello",
            "check inter 1s",
        ),
        ("linger", "mode tcp\n  option tcp-check\n  tcp-check connect linger", "check inter 1s"),
        ("agent", "mode http", "check inter 1s agent-check agent-inter 1s agent-port 9100"),
        ("fast", "mode tcp", "check inter 1s fastinter 500ms downinter 500ms rise 1 fall 2"),
    ];
    let backends = kinds
        .map(|(name, mode, how)| format!("backend {name}\n  {mode}\n  server live 127.0.0.1:8080 {how}\n"));
    let sections = "frontend f\n  mode tcp\n  bind 198.51.100.1:80\n  default_backend tcp\n".to_owned()
        + &backends.concat();
    let haproxy = start(place, &sections, 80);
    thread::sleep(Duration::from_secs(2));
    let mut watch = Watch::servers(place);
    let diagnosis = watch.diagnosis();
    let rows = statistics(place);
    drop(haproxy);
    let ended = watch.ended();
    drop(origin);
    let mut checks = Checks::of(&ended);
    checks.honest(&diagnosis);
    let up = kinds.iter().filter(|(name, ..)| {
        let row = &rows[&format!("{name}/live")];
        row["status"].starts_with("UP") && number(row, "chkfail") == 0
    });
    checks.that("every check succeeds", up.count() == kinds.len(), format!("{rows:?}"));
    let made = ended.with(|line| line["role"] == "client");
    checks.owned_by("checks", &made, "haproxy");
    // One of each of the seven checks a second. The watch cuts off the first and last, and a check takes some time.
    let expected = (kinds.len() as u64 + 1) * place.seconds;
    let slack = 2 * (kinds.len() as u64 + 1) + expected / 10;
    checks.that(
        format!("{} checks of about {expected}", made.count()),
        made.count().abs_diff(expected) <= slack,
        format!("{}; {}", made.count(), made.causes()),
    );
    checks.that("each check connected", made.by("refused").count() == 0, made.causes());
    checks.verdict()
}

/// The check in redis' own protocol: haproxy sends a command, reads the reply, and closes.
fn checks_of_redis(place: &Place) -> Result<String, String> {
    let redis = redis::start(place, &[]);
    let sections = "frontend f\n  mode tcp\n  bind 198.51.100.1:80\n  default_backend b\nbackend b\n  mode tcp\n  \
                    option redis-check\n  server live 198.51.100.1:6379 check inter 1s\n";
    let [before, _] = place.clients.run(|| redis::info(at(6379))).expect("redis tells its statistics");
    let mut watch = Watch::servers(place);
    let haproxy = start(place, sections, 80);
    let diagnosis = watch.diagnosis();
    let row = statistics(place).remove("b/live").expect("the server");
    drop(haproxy);
    let [after, _] = place.clients.run(|| redis::info(at(6379))).expect("redis tells its statistics");
    let ended = watch.ended();
    drop(redis);
    let mut checks = Checks::of(&ended);
    checks.honest(&diagnosis);
    checks.that(
        "every check succeeds",
        row["status"].starts_with("UP") && number(&row, "chkfail") == 0,
        format!("{row:?}"),
    );
    checks.equal("total_connections_received", ended.accepted(6379).count(), after - before);
    // One connection is the second request for the statistics.
    checks.equal("checks", ended.made(6379).count() + 1, after - before);
    checks.owned_by("checks", &ended.made(6379), "haproxy");
    checks.owned_by("what redis accepted", &ended.accepted(6379), "redis-server");
    checks.verdict()
}

/// Requests over haproxy, on new connections and on kept ones.
fn requests(place: &Place) -> Result<String, String> {
    let origin = nginx::start(place, "origin", "worker_processes 1;", &nginx::server("127.0.0.1:8080"), 8080);
    let haproxy = start(
        place,
        "frontend f\n  mode http\n  bind 198.51.100.1:80\n  default_backend b\nbackend b\n  mode http\n  option httpchk GET /\n  \
         server live 127.0.0.1:8080 check inter 1s\nfrontend t\n  mode tcp\n  bind 198.51.100.1:81\n  default_backend c\n\
         backend c\n  mode tcp\n  server live 127.0.0.1:8080\n",
        80,
    );
    let mut watch = Watch::servers(place);
    let time = place.work();
    let made = place.clients.run(move || {
        let tcp = thread::spawn(move || work(at(81), Habit { time, ..BROWSERS }, get));
        let browsers = thread::spawn(move || work(at(80), Habit { time, ..BROWSERS }, get));
        let mut made = work(at(80), Habit { time, ..POOL }, get);
        made += browsers.join().expect("browsers");
        (made, tcp.join().expect("browsers"))
    });
    let diagnosis = watch.diagnosis();
    let rows = statistics(place);
    drop(haproxy);
    let ended = watch.ended();
    drop(origin);
    let mut checks = Checks::of(&ended);
    checks.honest(&diagnosis);
    checks.that(
        "every request answered",
        made.0.failed + made.0.closed + made.1.failed == 0,
        format!("{made:?}"),
    );
    for (port, proxy, clients) in [(80, "f/FRONTEND", made.0), (81, "t/FRONTEND", made.1)] {
        let accepted = ended.accepted(port);
        checks.equal(&format!("conn_tot of {proxy}"), accepted.count(), number(&rows[proxy], "conn_tot"));
        checks.equal(&format!("clients of {port}"), accepted.count(), clients.connections);
        checks.owned_by(&format!("what {port} accepted"), &accepted, "haproxy");
    }
    let [http, tcp] = ["b/live", "c/live"].map(|name| &rows[name]);
    for row in [http, tcp] {
        let errors = ["econ", "eresp", "wretr", "wredis"].map(|name| number(row, name));
        checks.that("haproxy has seen no error", errors == [0; 4], format!("{errors:?}"));
    }
    let to_origin = ended.made(8080);
    checks.owned_by("what was made to the origin", &to_origin, "haproxy");
    // `connect` counts new connections of requests; the other connections are checks, one a second.
    let requests = number(http, "connect") + number(tcp, "stot");
    checks.at_least("made to the origin", to_origin.count(), requests, to_origin.causes());
    let more = to_origin.count().saturating_sub(requests);
    checks.that(format!("{more} checks"), more <= place.seconds + 5, to_origin.causes());
    checks.verdict()
}
