//! Sets situations up, all at once, and takes them down.

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use nix::time::ClockId;

use super::{Place, Role, Situation};
use crate::{machine::helper, netns::Namespace, process::Running};

/// The number of situations that are set up at a time: each requests its devices, for which the kernel has one lock.
const AT_ONCE: usize = 6;

/// A situation that runs until it is dropped.
#[derive(Debug)]
pub struct Playing {
    /// The situation.
    pub situation: &'static Situation,
    /// The time before its first process started, in nanoseconds of `CLOCK_MONOTONIC`.
    pub begun_ns: u64,
    roles: Vec<Played>,
    // The namespaces are dropped after the processes in them.
    here: Namespace,
    there: Option<Namespace>,
}

#[derive(Debug)]
struct Played {
    name: &'static str,
    /// The process that a finding must name. It may be a child of the role's process.
    pid: u32,
    process: Running,
}

impl Playing {
    /// Whether the network namespace with this inode is the situation's.
    pub fn is_in(&self, inode: u64) -> bool {
        [Some(&self.here), self.there.as_ref()]
            .into_iter()
            .flatten()
            .any(|one| u64::from(one.inode()) == inode)
    }

    /// The process that a finding must name for a role.
    pub fn pid(&self, role: &str) -> Option<u32> {
        self.roles.iter().find(|played| played.name == role).map(|played| played.pid)
    }

    /// Whether a process is one of the situation's.
    pub fn has(&self, pid: u64) -> bool {
        self.roles.iter().any(|played| [played.pid, played.process.pid()].map(u64::from).contains(&pid))
    }

    /// The roles whose process has ended. No role ends by itself.
    pub fn ended(&mut self) -> Vec<&'static str> {
        let has_ended = |played: &mut Played| {
            let ended = played.process.child().try_wait().expect("waiting for a child");
            ended.map(|_| played.name)
        };
        self.roles.iter_mut().filter_map(has_ended).collect()
    }
}

impl Drop for Playing {
    /// Ends all of its processes at once, clients before servers, so that none sees the end of another.
    fn drop(&mut self) {
        for played in self.roles.iter_mut().rev() {
            let _ = played.process.child().kill();
        }
    }
}

/// The result of setting a situation up.
#[derive(Debug)]
pub enum Made {
    /// The situation runs.
    Playing(Playing),
    /// This machine cannot make the situation, for this reason.
    LeftOut(&'static str),
    /// The situation failed.
    Failed(String),
}

/// Sets situations up, and returns them in their order.
pub fn set_up(actor: &'static str, situations: &[&'static Situation]) -> Vec<(&'static Situation, Made)> {
    let all = Mutex::new(Vec::new());
    let (program, next) = (helper(actor), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(situation) = situations.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let made = match (situation.lacks)() {
                        Some(reason) => Made::LeftOut(reason),
                        None => begin(&program, situation).map_or_else(Made::Failed, Made::Playing),
                    };
                    all.lock().expect("no panic").push((*situation, made));
                }
            });
        }
    });
    let mut all = all.into_inner().expect("no panic");
    all.sort_by_key(|(situation, _)| situation.place());
    all
}

fn begin(program: &std::path::Path, situation: &'static Situation) -> Result<Playing, String> {
    let here = Namespace::usual();
    let is_there = |role: &Role| role.place == Place::There;
    let there = situation.roles.iter().any(is_there).then(Namespace::usual);
    if let Some(there) = &there {
        let [one, other] = situation.addresses().map(|address| format!("{address}/31"));
        here.join_as(&one, there, &other);
    }
    let mut playing = Playing { situation, begun_ns: monotonic_ns(), roles: Vec::new(), here, there };
    for role in situation.roles.iter().filter(|role| role.place != Place::Child) {
        let place = playing.there.as_ref().filter(|_| is_there(role)).unwrap_or(&playing.here);
        let (program, situation, name) = (PathBuf::from(program), situation.name, role.name);
        let played = place.run(move || start(&program, situation, name))?;
        playing.roles.push(played);
    }
    Ok(playing)
}

fn monotonic_ns() -> u64 {
    let now = Duration::from(ClockId::CLOCK_MONOTONIC.now().expect("a clock"));
    u64::try_from(now.as_nanos()).expect("less than centuries")
}

/// Starts a role and waits until it is ready. Its pipe is this thread's own, and stays in it.
fn start(program: &std::path::Path, situation: &str, role: &'static str) -> Result<Played, String> {
    let mut command = Command::new(program);
    command.args(["play", situation, role]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut process = Running::spawn(&mut command);
    let mut line = String::new();
    let stdout = process.child().stdout.take().expect("a pipe");
    BufReader::new(stdout).read_line(&mut line).expect("text");
    match line.trim().parse() {
        Ok(pid) => Ok(Played { name: role, pid, process }),
        Err(_) => Err(format!("{role} is not ready")),
    }
}
