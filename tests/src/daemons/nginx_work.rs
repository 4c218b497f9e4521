//! nginx at normal work: as a proxy, with a listener for each worker, with slow clients, and with new configurations.

use std::{process::Command, thread, time::Duration};

use super::{
    Situation,
    checks::Checks,
    client::{Client, get},
    habit::{Habit, work},
    nginx::{BROWSERS, POOL, accepts, count, server, start},
    place::{Place, at},
    program,
    watch::Watch,
};

pub(super) const SITUATIONS: [Situation; 4] = [
    Situation::honest("nginx/proxy", &["nginx"], proxy),
    Situation::honest("nginx/reuseport", &["nginx"], reuseport),
    Situation::honest("nginx/slow download", &["nginx"], slow_download),
    Situation::honest("nginx/reload", &["nginx"], reload),
];

/// A proxy that keeps connections to the server behind it, another nginx.
fn proxy(place: &Place) -> Result<String, String> {
    let origin = start(place, "origin", "worker_processes 1;", &server("127.0.0.1:8080"), 8080);
    let servers = format!(
        "  upstream behind {{ server 127.0.0.1:8080; keepalive 8; }}\n{}\n  server {{ listen 198.51.100.1:80; location / \
         {{ proxy_pass http://behind; proxy_http_version 1.1; proxy_set_header Connection ''; }} }}",
        server("198.51.100.1:81")
    );
    let front = start(place, "front", "worker_processes 1;", &servers, 80);
    let [before, behind] = [count(place, 81), origin_accepts(place)];
    let mut watch = Watch::servers(place);
    let time = place.work();
    let made = place.clients.run(move || {
        let browsers = thread::spawn(move || work(at(80), Habit { time, ..BROWSERS }, get));
        let mut made = work(at(80), Habit { time, ..POOL }, get);
        made += browsers.join().expect("browsers");
        made
    });
    let diagnosis = watch.diagnosis();
    let [accepted, accepted_behind] = [count(place, 81) - before, origin_accepts(place) - behind];
    // The proxy ends first, so that its connections to the origin end as well.
    drop(front);
    let ended = watch.ended();
    drop(origin);
    let mut checks = Checks::of(&ended);
    checks.honest(&diagnosis);
    // nginx closes a connection after a thousand requests.
    checks.that("every request answered", made.failed == 0, format!("{made:?}"));
    // One connection is that of the second count.
    checks.equal("accepted in front", ended.accepted(80).count() + ended.accepted(81).count(), accepted);
    checks.equal("accepted behind", ended.accepted(8080).count(), accepted_behind);
    // The test itself makes the connection of the origin's second count.
    let to_origin = ended.made(8080).with(|line| line["owner"]["comm"] == "nginx");
    checks.equal("made to the origin, but for the count", to_origin.count() + 1, accepted_behind);
    checks.owned_by("accepted ones", &ended.with(|line| line["role"] == "server"), "nginx");
    checks.verdict()
}

fn origin_accepts(place: &Place) -> u64 {
    place.servers.run(|| accepts(([127, 0, 0, 1], 8080).into())).expect("the origin tells its status")
}

/// Two workers, each with a listener of its own.
fn reuseport(place: &Place) -> Result<String, String> {
    let nginx = start(place, "nginx", "worker_processes 2;", &server("198.51.100.1:80 reuseport"), 80);
    let before = count(place, 80);
    let mut watch = Watch::servers(place);
    let time = place.work();
    let made = place.clients.run(move || work(at(80), Habit { time, clients: 8, ..BROWSERS }, get));
    let diagnosis = watch.diagnosis();
    let accepted = count(place, 80) - before;
    let ended = watch.ended().accepted(80);
    let mut checks = Checks::of(&ended);
    checks.honest(&diagnosis);
    checks.that("every request answered", made.failed + made.closed == 0, format!("{made:?}"));
    checks.equal("accepted", ended.count(), accepted);
    checks.owned_by("accepted ones", &ended, "nginx");
    let of = |pid: &u32| ended.with(|line| line["owner"]["pid"] == *pid).count();
    let each = nginx.workers::<2>().map(|pid| of(&pid));
    checks.that("each worker accepts", each.iter().all(|count| *count > 0), format!("{each:?}"));
    checks.equal("each worker's own", each.iter().sum(), accepted);
    checks.verdict()
}

/// New configurations under load: workers end, listeners stay, and no connection is rejected.
fn reload(place: &Place) -> Result<String, String> {
    let nginx = start(place, "nginx", "worker_processes 2;", &server("198.51.100.1:80"), 80);
    let mut watch = Watch::servers(place);
    let time = place.work();
    let load = place.clients.begin(move || {
        let pool = thread::spawn(move || work(at(80), Habit { time, ..POOL }, get));
        (work(at(80), Habit { time, clients: 6, ..BROWSERS }, get), pool.join().expect("a pool"))
    });
    for third in 1..=2 {
        watch.wait(time * third / 3);
        let mut command = Command::new(program("nginx"));
        command.arg("-e").arg(place.path("nginx.error")).arg("-c").arg(place.path("nginx.conf"));
        command.args(["-s", "reload"]);
        place.run_in(&place.servers, "reload", command, Duration::from_secs(10));
    }
    let (browsers, pool) = load.wait();
    let diagnosis = watch.diagnosis();
    let ended = watch.ended().accepted(80);
    drop(nginx);
    let mut checks = Checks::of(&ended);
    checks.honest(&diagnosis);
    checks.that(
        "no client turned away",
        browsers.failed + pool.failed == 0,
        format!("{browsers:?} {pool:?}"),
    );
    checks.equal("connections of clients", ended.count(), browsers.connections + pool.connections);
    checks.owned_by("accepted ones", &ended, "nginx");
    checks.that(
        "workers of before closed what was idle",
        pool.closed + browsers.closed > 0 && ended.by("active_close").count() > 0,
        format!("{pool:?}, {}", ended.causes()),
    );
    checks.verdict()
}

/// A client that reads slowly, and a server that waits for it: the client's window is closed most of the time, and the
/// transfer goes on.
fn slow_download(place: &Place) -> Result<String, String> {
    const SIZE: u64 = 64 << 20;
    std::fs::File::create(place.path("large")).and_then(|file| file.set_len(SIZE)).expect("a large file");
    let folder = place.folder().display();
    let servers =
        format!("  server {{ listen 198.51.100.1:80; root {folder}; location /status {{ stub_status; }} }}");
    let nginx = start(place, "nginx", "worker_processes 1;", &servers, 80);
    let before = count(place, 80);
    let mut watch = Watch::servers(place);
    let end = std::time::Instant::now() + place.work();
    let read = place.clients.run(move || {
        let mut client = Client::connect(at(80)).expect("nginx is there");
        client.send("GET /large HTTP/1.1\r\nHost: test\r\n\r\n").expect("a request");
        let mut read = 0;
        while std::time::Instant::now() < end {
            read += client.take(64 << 10).expect("more of it");
            thread::sleep(Duration::from_millis(250));
        }
        read
    });
    let diagnosis = watch.diagnosis();
    let accepted = count(place, 80) - before;
    let ended = watch.ended().accepted(80);
    drop(nginx);
    let mut checks = Checks::of(&ended);
    checks.honest(&diagnosis);
    checks.that(format!("read {} MiB slowly", read >> 20), read > 1 << 20 && read < SIZE, read);
    checks.equal("accepted", ended.count(), accepted);
    checks.owned_by("accepted ones", &ended, "nginx");
    checks.verdict()
}
