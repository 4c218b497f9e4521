//! sshd: sessions, and connections without a login.

use std::{fs, path::Path, process::Command, thread, time::Duration};

use super::{
    Situation,
    checks::Checks,
    client::Client,
    place::{Place, at},
    program,
    watch::Watch,
};
use crate::process::tool;

pub(super) const SITUATIONS: [Situation; 1] =
    [Situation::honest("sshd/sessions", &["sshd", "ssh", "ssh-keygen"], sessions)];

/// The empty folder that sshd requires.
const EMPTY: &str = "/run/sshd";

fn key(place: &Place, name: &str) -> String {
    let path = place.path(name);
    let path = path.to_str().expect("UTF-8");
    tool("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", path]);
    path.to_owned()
}

/// A command that runs another command in a session with this key.
fn ssh(key: &str, what: &str) -> Command {
    let mut command = Command::new(program("ssh"));
    command.args([
        "-F",
        "none",
        "-i",
        key,
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "UserKnownHostsFile=/dev/null",
    ]);
    command.args(["-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "root@198.51.100.1", what]);
    command
}

/// Sessions with a key, one of them idle; connections that read the banner and leave; and connections that never
/// authenticate, which sshd ends.
fn sessions(place: &Place) -> Result<String, String> {
    if !Path::new(EMPTY).exists() {
        fs::create_dir_all(EMPTY).expect("a folder");
    }
    let [host, user] = ["host", "user"].map(|name| key(place, name));
    fs::copy(format!("{user}.pub"), place.path("authorized")).expect("a copy");
    let config = place.write(
        "sshd.conf",
        "Port 22\nListenAddress 198.51.100.1\nHostKey @/host\nAuthorizedKeysFile @/authorized\nPidFile none\n\
         PermitRootLogin prohibit-password\nPasswordAuthentication no\nUsePAM no\nStrictModes no\nLoginGraceTime 4\n\
         MaxStartups 50\nPerSourceMaxStartups none\nUseDNS no\nLogLevel VERBOSE\n",
    );
    let mut command = Command::new(program("sshd"));
    command.arg("-D").arg("-e").arg("-f").arg(config).arg("-h").arg(host);
    let sshd = place.serve("sshd", command, 22);
    let mut watch = Watch::servers(place);
    // These clients send nothing, and sshd ends them after four seconds.
    let silent = place.clients.hold(|| Client::many(at(22), 6));
    // A session without input.
    let idle = ssh(&user, "sleep 600");
    let idle = place.start_in(&place.clients, "idle", idle);
    let (mut sessions, mut failed, mut banners) = (0_u64, String::new(), 0_u64);
    let mut time = Duration::ZERO;
    while time + Duration::from_secs(3) < place.work() {
        let said = place.run_in(
            &place.clients,
            &format!("ssh{sessions}"),
            ssh(&user, "echo hello"),
            Duration::from_secs(20),
        );
        sessions += 1;
        if !said.contains("hello") {
            failed += &said;
        }
        banners += place.clients.run(|| {
            let mut visitors = Client::many(at(22), 2);
            for visitor in &mut visitors {
                assert!(visitor.line().expect("a banner").starts_with("SSH-"));
            }
            2
        });
        time += Duration::from_secs(3);
        watch.wait(time);
    }
    let diagnosis = watch.diagnosis();
    drop((silent, idle));
    thread::sleep(Duration::from_millis(500));
    let ended = watch.ended().accepted(22);
    let log = sshd.said();
    drop(sshd);
    let accepted = log.lines().filter(|line| line.starts_with("Connection from ")).count() as u64;
    let entered = log.lines().filter(|line| line.starts_with("Accepted publickey ")).count() as u64;
    let mut checks = Checks::of(&ended);
    checks.honest(&diagnosis);
    checks.that("every session is let in", failed.is_empty(), failed);
    checks.equal("sessions", sessions + 1, entered);
    checks.equal("connections in its log", ended.count(), accepted);
    checks.equal("connections of clients", ended.count(), 7 + sessions + banners);
    checks.owned_by("accepted ones", &ended, "sshd");
    let silent = ended.by("active_close").count() + ended.by("process_exited").count();
    checks.at_least("those that sshd ended, the silent ones", silent, 6, ended.causes());
    checks.verdict()
}
