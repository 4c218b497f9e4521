//! haproxy at external limits: a route that forbids, and its maximum of connections.

use std::{thread, time::Duration};

use super::{
    Situation,
    checks::Checks,
    client::{Client, GET, get},
    haproxy::{start, statistics},
    nginx,
    place::{NOBODY, Place, at},
    watch::Watch,
};
use crate::process::tool;

pub(super) const SITUATIONS: [Situation; 3] = [
    Situation::fault("haproxy/prohibited backend", &["haproxy"], |place| no_route(place, "prohibit")),
    Situation::fault("haproxy/backend without a route", &["haproxy"], |place| no_route(place, "unreachable")),
    Situation::fault("haproxy/as many as it may", &["haproxy", "nginx"], at_maxconn),
];

/// No route leads to the server's address, or the route forbids it: `connect()` fails at once, before the socket's
/// state changes. So there is no record of it, and no finding may report it as something else, such as a lack of ports.
fn no_route(place: &Place, kind: &str) -> Result<String, String> {
    let (kind, to) = (kind.to_owned(), format!("{NOBODY}/32"));
    place.servers.run(move || tool("ip", ["route", "add", &kind, &to]));
    let sections = format!(
        "frontend f\n  mode tcp\n  bind 198.51.100.1:80\n  default_backend b\nbackend b\n  mode tcp\n  \
         server far {NOBODY}:8080 check inter 1s\n"
    );
    let haproxy = start(place, &sections, 80);
    let mut watch = Watch::servers(place);
    let diagnosis = watch.diagnosis();
    let row = statistics(place).remove("b/far").expect("the server");
    drop(haproxy);
    let attempts = watch.ended().made(8080);
    let mut checks = Checks::of(&attempts);
    checks.that("haproxy says DOWN", row["status"].starts_with("DOWN"), format!("{row:?}"));
    let grave = diagnosis.grave();
    let is_true = grave.iter().all(|finding| finding["id"] == "unreachable-destination");
    checks.that("nothing made up", is_true, diagnosis.shown());
    checks.owned_by("attempts", &attempts, "haproxy");
    checks.that("none for want of a port", attempts.by("no_local_port").count() == 0, attempts.causes());
    checks.verdict()
}

/// haproxy has reached its maximum of ten connections. It accepts no more, and other connections wait in its queue.
fn at_maxconn(place: &Place) -> Result<String, String> {
    let origin = nginx::start(place, "origin", "worker_processes 1;", &nginx::server("127.0.0.1:8080"), 8080);
    let sections = "frontend f\n  mode http\n  maxconn 10\n  backlog 128\n  bind 198.51.100.1:80\n  default_backend b\nbackend b\n  mode http\n  \
                    server live 127.0.0.1:8080\n";
    let haproxy = start(place, sections, 80);
    let mut watch = Watch::servers(place);
    let waiting = place.clients.hold(|| {
        let served = Client::served(at(80), 10, get);
        thread::sleep(Duration::from_millis(500));
        (served, Client::waiting(at(80), 20, GET))
    });
    let diagnosis = watch.diagnosis();
    let innocent = origin.children();
    drop(waiting);
    let mut checks = Checks::default();
    checks.found(&diagnosis, &["nobody-accepts", "accept-queue-overflow"], haproxy.pid());
    checks.blames_none_of(&diagnosis, &innocent);
    checks.not_found(&diagnosis, &["reset-storm", "phantom-established", "close-wait-leak"]);
    checks.verdict()
}
