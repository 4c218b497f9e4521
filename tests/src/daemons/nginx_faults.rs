//! nginx that is made to fail.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::{
    Situation,
    checks::Checks,
    client::{Client, GET, get},
    daemon::send,
    habit::{Habit, work},
    nginx::{BROWSERS, server, start},
    place::{Place, at},
    watch::Watch,
};

pub(super) const SITUATIONS: [Situation; 3] = [
    Situation::fault("nginx/stopped worker", &["nginx"], stopped_worker),
    Situation::fault("nginx/stopped origin", &["nginx"], stopped_origin),
    Situation::fault("nginx/out of descriptors", &["nginx"], out_of_descriptors),
];

/// Two workers, each with a listener of its own. One is stopped: connections to its listener wait. The other worker
/// serves all connections to its listener, and must not be blamed.
fn stopped_worker(place: &Place) -> Result<String, String> {
    let nginx = start(place, "nginx", "worker_processes 2;", &server("198.51.100.1:80 reuseport"), 80);
    let [stopped, healthy] = nginx.workers();
    let mut watch = Watch::servers(place);
    // Both workers accept at first.
    let time = Duration::from_secs(2);
    place.clients.run(move || work(at(80), Habit { time, clients: 8, ..BROWSERS }, get));
    send(stopped, Signal::SIGSTOP);
    let waiting = place.clients.hold(|| {
        (0..60)
            .map(|_| {
                let mut client = Client::connect(at(80)).expect("the queue has room");
                client.send(GET).expect("a request");
                std::thread::sleep(Duration::from_millis(50));
                client
            })
            .collect::<Vec<_>>()
    });
    let diagnosis = watch.diagnosis();
    send(stopped, Signal::SIGCONT);
    drop(waiting);
    drop(nginx);
    let mut checks = Checks::default();
    checks.found(&diagnosis, &["nobody-accepts", "accept-queue-overflow"], stopped);
    checks.blames_none_of(&diagnosis, &[healthy]);
    checks.verdict()
}

/// A worker with too low a limit of open files: it accepts no more, and its clients wait.
fn out_of_descriptors(place: &Place) -> Result<String, String> {
    let main = "worker_processes 1;\nworker_rlimit_nofile 24;";
    let nginx = start(place, "nginx", main, &server("198.51.100.1:80"), 80);
    let [worker] = nginx.workers();
    let mut watch = Watch::servers(place);
    let waiting = place.clients.hold(|| Client::waiting(at(80), 60, GET));
    let diagnosis = watch.diagnosis();
    let log = std::fs::read_to_string(place.path("nginx.error")).unwrap_or_default();
    // The worker still serves the connections that it has accepted.
    drop(waiting);
    let again = place.clients.run(|| Client::connect(at(80)).and_then(|mut client| get(&mut client)));
    drop(nginx);
    assert!(log.contains("Too many open files"), "nginx has descriptors left: {log}");
    let mut checks = Checks::default();
    let finding = checks.found(&diagnosis, &["nobody-accepts", "accept-queue-overflow"], worker);
    // An operator can fix it only if the finding gives the reason.
    let said = finding.map_or(String::new(), |finding| finding.to_string().to_lowercase());
    let is_said = said.contains("descriptor") || said.contains("open files");
    checks.that("it says what is wanting", is_said, said);
    checks.that("nginx serves again when they are gone", again.is_ok(), format!("{again:?}"));
    checks.verdict()
}

/// A proxy waits for the server behind it, which is stopped. The server is at fault, although clients wait at the
/// proxy.
fn stopped_origin(place: &Place) -> Result<String, String> {
    let origin = start(place, "origin", "worker_processes 1;", &server("127.0.0.1:8080"), 8080);
    let front = "  server { listen 198.51.100.1:80; location / { proxy_pass http://127.0.0.1:8080; } }";
    let front = start(place, "front", "worker_processes 1;", front, 80);
    let ([behind], [before]) = (origin.workers(), front.workers());
    let mut watch = Watch::servers(place);
    // The origin serves at first.
    let time = Duration::from_secs(2);
    let made = place.clients.run(move || work(at(80), Habit { time, ..BROWSERS }, get));
    send(behind, Signal::SIGSTOP);
    let waiting = place.clients.hold(|| Client::waiting(at(80), 20, GET));
    let diagnosis = watch.diagnosis();
    send(behind, Signal::SIGCONT);
    drop(waiting);
    drop((front, origin));
    let mut checks = Checks::default();
    checks.that("served at first", made.requests > 0 && made.failed == 0, format!("{made:?}"));
    checks.found(&diagnosis, &["nobody-accepts", "stalled"], behind);
    checks.blames_none_of(&diagnosis, &[before]);
    checks.verdict()
}
