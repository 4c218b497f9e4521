//! haproxy with servers behind it that are dead, refuse, or cannot be reached.

use std::{thread, time::Duration};

use super::{
    Situation,
    checks::Checks,
    client::get,
    habit::{Habit, Made, work},
    haproxy::{number, start, statistics},
    nginx,
    place::{NOBODY, Place, at},
    watch::Watch,
};
use crate::net::listen;

pub(super) const SITUATIONS: [Situation; 5] = [
    Situation::fault("haproxy/dead backend", &["haproxy"], dead),
    Situation::fault("haproxy/refused requests", &["haproxy"], refused),
    Situation::fault("haproxy/unreachable backend", &["haproxy"], unreachable),
    Situation::fault("haproxy/redispatch", &["haproxy", "nginx"], redispatch),
    Situation::fault("haproxy/flapping backend", &["haproxy"], flapping),
];

/// Clients whose requests may fail.
fn tries(place: &Place) -> Made {
    let habit = Habit { clients: 3, requests: 1, pause: Duration::from_millis(200), time: place.work() };
    place.clients.run(move || work(at(80), habit, get))
}

fn proxy(server: &str, more: &str) -> String {
    format!(
        "frontend f\n  mode http\n  bind 198.51.100.1:80\n  default_backend b\nbackend b\n  mode http\n  balance roundrobin\n\
         {more}\n{server}\n"
    )
}

/// Nothing listens at the server's port; only checks go there.
fn dead(place: &Place) -> Result<String, String> {
    let haproxy = start(place, &proxy("  server dead 127.0.0.1:8080 check inter 1s", ""), 80);
    let mut watch = Watch::servers(place);
    let diagnosis = watch.diagnosis();
    let row = statistics(place).remove("b/dead").expect("the server");
    let pid = haproxy.pid();
    drop(haproxy);
    let made = watch.ended().made(8080);
    let mut checks = Checks::of(&made);
    checks.found(&diagnosis, &["connection-refused"], pid);
    checks.not_found(&diagnosis, &["unreachable-destination", "reset-storm", "outbound-scan"]);
    checks.that("haproxy says DOWN", row["status"].starts_with("DOWN"), format!("{row:?}"));
    checks.equal("refused", made.by("refused").count(), made.count());
    checks.owned_by("attempts", &made, "haproxy");
    checks.verdict()
}

/// Nothing listens at the server's port, and requests go there. haproxy tries each four times.
fn refused(place: &Place) -> Result<String, String> {
    let haproxy = start(place, &proxy("  server dead 127.0.0.1:8080", "  retries 3"), 80);
    let mut watch = Watch::servers(place);
    let made = tries(place);
    let diagnosis = watch.diagnosis();
    let row = statistics(place).remove("b/dead").expect("the server");
    let pid = haproxy.pid();
    drop(haproxy);
    let attempts = watch.ended().made(8080);
    let mut checks = Checks::of(&attempts);
    checks.that("no request answered", made.requests == 0 && made.failed > 0, format!("{made:?}"));
    checks.found(&diagnosis, &["connection-refused"], pid);
    checks.not_found(&diagnosis, &["unreachable-destination", "reset-storm", "outbound-scan"]);
    // An error for each request, and an error for each retry.
    checks.equal(
        "econ + wretr",
        attempts.by("refused").count(),
        number(&row, "econ") + number(&row, "wretr"),
    );
    checks.equal("refused", attempts.by("refused").count(), attempts.count());
    checks.owned_by("attempts", &attempts, "haproxy");
    checks.verdict()
}

/// Packets to the server are dropped without a reply.
fn unreachable(place: &Place) -> Result<String, String> {
    let server = format!("  server far {NOBODY}:8080 check inter 1s");
    let haproxy = start(place, &proxy(&server, "  timeout connect 1s\n  timeout check 1s"), 80);
    let mut watch = Watch::servers(place);
    let diagnosis = watch.diagnosis();
    let row = statistics(place).remove("b/far").expect("the server");
    let pid = haproxy.pid();
    drop(haproxy);
    let attempts = watch.ended().made(8080);
    let mut checks = Checks::of(&attempts);
    checks.found(&diagnosis, &["unreachable-destination"], pid);
    checks.not_found(&diagnosis, &["connection-refused", "reset-storm", "outbound-scan"]);
    checks.that("haproxy says DOWN", row["status"].starts_with("DOWN"), format!("{row:?}"));
    let given_up = attempts.by("connect_cancelled").count();
    checks.that(
        format!("{given_up} gave up connecting"),
        given_up + 1 >= attempts.count(),
        attempts.causes(),
    );
    checks.owned_by("attempts", &attempts, "haproxy");
    checks.verdict()
}

/// One of two servers is dead, and haproxy then sends the request to the other: every request is served. The finding
/// must be about that server, not about all connections of haproxy.
fn redispatch(place: &Place) -> Result<String, String> {
    let origin = nginx::start(place, "origin", "worker_processes 1;", &nginx::server("127.0.0.1:8080"), 8080);
    let servers = "  server live 127.0.0.1:8080\n  server dead 127.0.0.1:8081";
    let haproxy =
        start(place, &proxy(servers, "  option redispatch 1\n  retries 2\n  retry-on conn-failure"), 80);
    let mut watch = Watch::servers(place);
    let made = tries(place);
    let diagnosis = watch.diagnosis();
    let rows = statistics(place);
    let pid = haproxy.pid();
    drop(haproxy);
    let ended = watch.ended();
    let mut checks = Checks::of(&ended);
    checks.that("every request answered", made.failed == 0 && made.requests > 0, format!("{made:?}"));
    checks.found(&diagnosis, &["connection-refused"], pid);
    checks.not_found(&diagnosis, &["unreachable-destination", "reset-storm"]);
    checks.blames_none_of(&diagnosis, &origin.children());
    let refused = number(&rows["b/dead"], "wretr")
        + number(&rows["b/dead"], "wredis")
        + number(&rows["b/dead"], "econ");
    checks.equal("refused", ended.made(8081).by("refused").count(), refused);
    checks.that("the live one refuses nothing", ended.made(8080).by("refused").count() == 0, ended.causes());
    checks.verdict()
}

/// A server that is up only half of the time. Some attempts connect, so the finding must say that a share is refused,
/// not that the server cannot be reached.
fn flapping(place: &Place) -> Result<String, String> {
    let haproxy = start(place, &proxy("  server some 127.0.0.1:8080 check inter 500ms", ""), 80);
    let mut watch = Watch::servers(place);
    let half = place.work() / 2;
    place.servers.run(move || {
        thread::sleep(half);
        let listener = listen(([127, 0, 0, 1], 8080).into());
        let end = std::time::Instant::now() + half;
        while std::time::Instant::now() < end {
            if crate::net::has_child(&listener, Duration::from_millis(100)) {
                drop(listener.accept());
            }
        }
    });
    let diagnosis = watch.diagnosis();
    let pid = haproxy.pid();
    drop(haproxy);
    let attempts = watch.ended().made(8080);
    let (refused, all) = (attempts.by("refused").count(), attempts.count());
    let mut checks = Checks::of(&attempts);
    let finding = checks.found(&diagnosis, &["connection-refused"], pid);
    let summary = finding.and_then(|finding| finding["summary"].as_str()).unwrap_or_default().to_owned();
    checks.that("the share is said", says_share(&summary), format!("{summary}; {refused} of {all}"));
    checks.not_found(&diagnosis, &["unreachable-destination", "reset-storm"]);
    checks.verdict()
}

/// Whether a summary contains "N of N", or a share.
fn says_share(summary: &str) -> bool {
    let words: Vec<&str> = summary.split_whitespace().collect();
    let is_number = |word: &str| word.chars().all(|letter| letter.is_ascii_digit());
    words.windows(3).any(|three| is_number(three[0]) && three[1] == "of" && is_number(three[2]))
        || summary.contains('%')
}
