//! nginx with its default keep-alive.

use std::{io, process::Command, sync::mpsc::channel, thread, time::Duration};

use super::{
    Situation,
    checks::Checks,
    client::{Client, get},
    daemon::Daemon,
    habit::{Habit, Made, work},
    place::{Place, at},
    program,
    watch::Watch,
};

pub(super) const SITUATIONS: [Situation; 2] = [
    Situation::honest("nginx/keep-alive", &["nginx"], keep_alive),
    Situation::honest("nginx/older clients", &["nginx"], older),
];

/// The habit of a browser: some requests, then it closes.
pub(super) const BROWSERS: Habit =
    Habit { clients: 4, requests: 3, pause: Duration::from_millis(100), time: Duration::ZERO };
/// A pool: connections that stay open.
pub(super) const POOL: Habit =
    Habit { clients: 4, requests: u64::MAX, pause: Duration::from_millis(50), time: Duration::ZERO };

/// nginx with this text beside the usual configuration, and these servers in its `http`.
pub(super) fn start(place: &Place, name: &str, main: &str, servers: &str, port: u16) -> Daemon {
    let text = format!(
        "user root;\ndaemon off;\npid @/{name}.pid;\nerror_log @/{name}.error;\n{main}\n\
         events {{ worker_connections 1024; }}\n\
         http {{\n  access_log off;\n  client_body_temp_path @/{name}.body;\n  proxy_temp_path @/{name}.proxy;\n  \
         fastcgi_temp_path @/{name}.f;\n  uwsgi_temp_path @/{name}.u;\n  scgi_temp_path @/{name}.s;\n{servers}\n}}\n"
    );
    place.serve(name, command(place, name, &text), port)
}

fn command(place: &Place, name: &str, text: &str) -> Command {
    let config = place.write(&format!("{name}.conf"), text);
    let mut command = Command::new(program("nginx"));
    command.arg("-e").arg(place.path(&format!("{name}.error"))).arg("-c").arg(config);
    command
}

/// A server that replies to everything with a short text, and on `/status` with nginx's own count.
pub(super) fn server(listen: &str) -> String {
    format!(
        "  server {{ listen {listen}; location / {{ return 200 'hello\\n'; }} location /status {{ stub_status; }} }}"
    )
}

/// Connections that nginx has accepted so far, including the connection of this request.
///
/// # Errors
/// nginx does not reply.
pub(super) fn accepts(server: std::net::SocketAddr) -> io::Result<u64> {
    let text = Client::connect(server)?.get("/status")?;
    let line = text.lines().nth(2).and_then(|line| line.split_whitespace().next()?.parse().ok());
    line.ok_or_else(|| io::Error::other(text))
}

/// Reads nginx's count in the clients' namespace.
pub(super) fn count(place: &Place, port: u16) -> u64 {
    place.clients.run(move || accepts(at(port))).expect("nginx tells its status")
}

/// Longer than the threshold for idle connections, and shorter than nginx keeps them.
const LONG: Duration = Duration::from_secs(68);

/// Clients that have a response, and send no more requests.
fn idle_clients() -> Vec<Client> {
    Client::served(at(80), 15, get)
}

/// Idle, busy and new clients, all behind one address, with the default settings. Some clients are idle until nginx
/// closes them after 75 seconds, others for the last 68 seconds of the watch, or for all of a shorter one.
fn keep_alive(place: &Place) -> Result<String, String> {
    let nginx = start(place, "nginx", "worker_processes 2;", &server("198.51.100.1:80"), 80);
    let before = count(place, 80);
    let mut watch = Watch::servers(place);
    let time = place.work();
    let late = Duration::from_secs(place.seconds).saturating_sub(LONG);
    let (done, is_done) = channel::<()>();
    let load = place.clients.begin(move || {
        let loads =
            [BROWSERS, POOL].map(|habit| thread::spawn(move || work(at(80), Habit { time, ..habit }, get)));
        let mut idle = idle_clients();
        thread::sleep(late);
        idle.extend(idle_clients());
        let mut made = Made::default();
        for load in loads {
            made += load.join().expect("it ends well");
        }
        // The connections stay open until the watch ends.
        let _ = is_done.recv();
        (made, idle.len() as u64)
    });
    let diagnosis = watch.diagnosis();
    drop(done);
    let (made, idle) = load.wait();
    let accepted = count(place, 80) - before;
    let ended = watch.ended().accepted(80);
    drop(nginx);
    let mut checks = Checks::of(&ended);
    checks.honest(&diagnosis);
    checks.equal("accepted", ended.count(), accepted);
    // One connection is that of the count.
    checks.equal("connections of clients", ended.count(), made.connections + idle + 1);
    checks.owned_by("accepted ones", &ended, "nginx");
    let closed = ended.by("active_close").count() + ended.by("passive_close").count();
    checks.that("all closed by a FIN", closed == ended.count(), ended.causes());
    checks.verdict()
}

/// As [`keep_alive`], but idle and busy clients exist before the watch; new ones come from the same address.
fn older(place: &Place) -> Result<String, String> {
    let nginx = start(place, "nginx", "worker_processes 1;", &server("198.51.100.1:80"), 80);
    let before = count(place, 80);
    let idle_for = Duration::from_secs((place.seconds / 3).clamp(3, 61));
    let seconds = place.seconds.min(40);
    let (watched, is_watched) = channel::<()>();
    let (done, is_done) = channel::<()>();
    // Fewer requests than the number after which nginx closes a connection.
    let busy =
        Habit { pause: Duration::from_millis(250), time: idle_for + Duration::from_secs(seconds), ..POOL };
    let browsers = Habit { time: Duration::from_secs(seconds.saturating_sub(4)), ..BROWSERS };
    let load = place.clients.begin(move || {
        let idle = idle_clients().into_iter();
        let busy = thread::spawn(move || work(at(80), busy, get));
        is_watched.recv().expect("the watch begins");
        let new = work(at(80), browsers, get);
        let old = busy.join().expect("it ends well");
        let _ = is_done.recv();
        (old.connections + idle.count() as u64, new.connections)
    });
    thread::sleep(idle_for);
    let mut watch = Watch::start(place, &place.servers, seconds);
    watched.send(()).expect("the clients wait");
    let diagnosis = watch.diagnosis();
    drop(done);
    let (old, new) = load.wait();
    let accepted = count(place, 80) - before;
    let ended = watch.ended().with(|line| line["lport"] == 80);
    drop(nginx);
    let mut checks = Checks::of(&ended);
    checks.honest(&diagnosis);
    checks.equal("accepted", ended.count(), accepted);
    checks.equal("connections of clients", ended.count(), old + new + 1);
    checks.owned_by("accepted ones", &ended, "nginx");
    let unborn = ended.with(|line| line["life_us"].is_null()).count();
    checks.equal("older than the watch", unborn, old);
    checks.verdict()
}
