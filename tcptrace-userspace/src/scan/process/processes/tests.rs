//! Recorded trees of `/proc`, and processes that change.

use std::{fs, os::unix::fs::symlink, path::Path};

use tcptrace_core::model::process::Runtime;

use super::*;

const PID: u32 = 5_000_000;

/// A process as `/proc` shows it.
struct Recorded<'a> {
    comm: &'a str,
    start: u64,
    program: u64,
    exe: &'a str,
    cgroup: &'a str,
}

const NGINX: Recorded<'_> = Recorded {
    comm: "nginx",
    start: 4711,
    program: 94_000,
    exe: "/usr/sbin/nginx",
    cgroup: "0::/system.slice/nginx.service\n",
};

impl Recorded<'_> {
    fn write(&self, root: &Path, pid: u32) {
        let directory = root.join(format!("proc/{pid}"));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(directory.join("ns")).unwrap();
        let write = |name: &str, content: String| fs::write(directory.join(name), content).unwrap();
        let Self { comm, start, program, exe, cgroup } = self;
        let tail = "S 1 2 3 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0";
        write("stat", format!("{pid} ({comm}) {tail} {start} 9 10 11 {program} 13 14 15 0\n"));
        write("status", "Name:\tx\nUid:\t33\t0\t0\t0\n".to_owned());
        write("cgroup", (*cgroup).to_owned());
        symlink(exe, directory.join("exe")).unwrap();
        symlink("net:[4026531840]", directory.join("ns/net")).unwrap();
    }
}

/// Ends the main thread, which loses its program and memory. The process has `threads` other threads.
fn end(root: &Path, pid: u32, threads: u32) {
    let directory = root.join(format!("proc/{pid}"));
    let tail = format!("Z 1 2 3 0 -1 4194564 1 2 3 4 5 6 7 8 20 0 {} 0", threads + 1);
    fs::write(directory.join("stat"), format!("{pid} (nginx) {tail} 4711 9 10 11 0 0 0 0 0\n")).unwrap();
    for name in ["exe", "ns/net"] {
        fs::remove_file(directory.join(name)).unwrap();
    }
}

/// A tree with one process.
fn tree(process: &Recorded<'_>) -> (tempfile::TempDir, Processes) {
    let tree = tempfile::tempdir().unwrap();
    process.write(tree.path(), PID);
    let processes = Processes::below(tree.path());
    (tree, processes)
}

fn comm(process: Option<&Arc<Process>>) -> Option<&[u8]> {
    process.map(|process| process.comm.as_slice())
}

#[test]
fn a_recorded_process() {
    let (_tree, mut processes) = tree(&NGINX);
    let expected = Process {
        pid: PID,
        start_ticks: 4711,
        comm: b"nginx".to_vec(),
        exe: Some(b"/usr/sbin/nginx".to_vec()),
        exe_deleted: false,
        uid: 33,
        unit: Some("nginx.service".to_owned()),
        container: None,
        netns: Some(4_026_531_840),
    };
    assert_eq!(processes.get(PID).as_deref(), Some(&expected));
    assert_eq!(processes.get(PID + 1), None);
}

#[test]
fn a_deleted_program_a_hostile_name_and_a_container() {
    let id = "0123456789abcdef".repeat(4);
    let hostile = Recorded {
        comm: "x) R 1 (\u{1b}[2J\\",
        exe: "/tmp/x (deleted)",
        cgroup: &format!("0::/system.slice/docker-{id}.scope\n"),
        ..NGINX
    };
    let (_tree, mut processes) = tree(&hostile);
    let process = processes.get(PID).unwrap();
    assert_eq!((process.comm.as_slice(), process.start_ticks), (hostile.comm.as_bytes(), 4711));
    assert_eq!((process.exe.as_deref(), process.exe_deleted), (Some(b"/tmp/x".as_slice()), true));
    let container = process.container.as_ref().unwrap();
    assert_eq!((container.runtime, &container.id, &process.unit), (Runtime::Docker, &id, &None));
}

/// A kernel thread has no program, and another user's namespace may not be read.
#[test]
fn what_may_not_be_read_is_not_known() {
    let (tree, mut processes) = tree(&NGINX);
    for name in ["exe", "ns/net", "cgroup"] {
        fs::remove_file(tree.path().join(format!("proc/{PID}/{name}"))).unwrap();
    }
    let process = processes.get(PID).unwrap();
    assert_eq!((&process.exe, process.netns, &process.unit), (&None, None, &None));
}

/// The kernel reuses the id: the same id, another start.
#[test]
fn an_id_that_is_used_again_inherits_nothing() {
    let (tree, mut processes) = tree(&NGINX);
    let now = monotonic_ns();
    let first = processes.at(PID, now).unwrap();
    Recorded { comm: "other", start: 4712, cgroup: "0::/\n", ..NGINX }.write(tree.path(), PID);
    let second = processes.at(PID, now + BELIEVED_NS).unwrap();
    assert_eq!((first.start_ticks, first.comm.as_slice()), (4711, b"nginx".as_slice()));
    assert_eq!(
        (second.start_ticks, second.comm.as_slice(), &second.unit),
        (4712, b"other".as_slice(), &None)
    );
    // Even with the same name.
    Recorded { start: 4713, ..NGINX }.write(tree.path(), PID);
    assert_eq!(processes.at(PID, now + 2 * BELIEVED_NS).unwrap().start_ticks, 4713);
}

#[test]
fn another_program_is_looked_at_again() {
    let (tree, mut processes) = tree(&NGINX);
    let now = monotonic_ns();
    assert_eq!(comm(processes.at(PID, now).as_ref()), Some(b"nginx".as_slice()));
    // execve() of the same file name, elsewhere.
    Recorded { program: 95_000, exe: "/opt/nginx", ..NGINX }.write(tree.path(), PID);
    assert_eq!(processes.at(PID, now + BELIEVED_NS).unwrap().exe.as_deref(), Some(b"/opt/nginx".as_slice()));
}

#[test]
fn one_that_ends_stays_what_it_was() {
    let (tree, mut processes) = tree(&NGINX);
    let now = monotonic_ns();
    let living = processes.at(PID, now).unwrap();
    assert_eq!(processes.life_at(PID, now + BELIEVED_NS), Life::Lives(4711));
    end(tree.path(), PID, 0);
    assert!(
        Arc::ptr_eq(&living, &processes.at(PID, now + 2 * BELIEVED_NS).unwrap()),
        "its parent has not asked"
    );
    assert_eq!(processes.life_at(PID, now + 2 * BELIEVED_NS), Life::Ended, "but nothing of it lives");
    fs::remove_dir_all(tree.path().join(format!("proc/{PID}"))).unwrap();
    let later = now + 4 * BELIEVED_NS;
    assert!(processes.at(PID, now + 5 * BELIEVED_NS / 2).is_some(), "believed for a moment");
    assert_eq!(processes.at(PID, later), None);
    let mut of_event = |event_ns, comm| processes.of_event_at(PID, event_ns, comm, later);
    assert!(of_event(now + BELIEVED_NS, Some(b"worker")).is_some(), "it lived then, whatever its name was");
    assert!(of_event(later, Some(b"nginx")).is_some(), "it may have lived until then");
    assert!(of_event(later, None).is_some());
    assert!(of_event(later, Some(b"curl")).is_none(), "it ran another program at its end");
    assert!(of_event(later + KEPT_NS, Some(b"nginx")).is_none(), "the id may have come round");
}

#[test]
fn only_what_is_not_there_has_ended() {
    let (tree, mut processes) = tree(&NGINX);
    let directory = |pid| tree.path().join(format!("proc/{pid}"));
    assert_eq!(processes.life_at(PID + 1, 1), Life::Unknown, "none can be seen: they may be hidden");
    Recorded { comm: "init", ..NGINX }.write(tree.path(), 1);
    assert_eq!(processes.life_at(PID + 1, 1), Life::Ended);
    assert_eq!(processes.life_at(PID, 1), Life::Lives(4711));
    // As if it could not be opened: a directory is no file that can be read.
    fs::remove_file(directory(PID).join("stat")).unwrap();
    fs::create_dir(directory(PID).join("stat")).unwrap();
    assert_eq!(processes.life_at(PID, BELIEVED_NS), Life::Lives(4711), "the answer holds for a while");
    assert_eq!(processes.life_at(PID, 1 + BELIEVED_NS), Life::Unknown);
    fs::remove_dir_all(directory(PID)).unwrap();
    assert_eq!(processes.life_at(PID, 1 + BELIEVED_NS), Life::Ended);
}

#[test]
fn what_could_not_be_read_once_is_not_gone() {
    let (tree, mut processes) = tree(&NGINX);
    let now = monotonic_ns();
    let first = processes.at(PID, now).unwrap();
    let stat = tree.path().join(format!("proc/{PID}/stat"));
    fs::remove_file(&stat).unwrap();
    fs::create_dir(&stat).unwrap();
    assert_eq!(processes.at(PID, now + BELIEVED_NS), None);
    fs::remove_dir(&stat).unwrap();
    NGINX.write(tree.path(), PID);
    assert!(Arc::ptr_eq(&first, &processes.at(PID, now + 2 * BELIEVED_NS).unwrap()));
}

/// A newcomer may have begun to run another program just before its read.
#[test]
fn a_newcomer_is_not_what_it_was_a_moment_ago() {
    let (tree, mut processes) = tree(&NGINX);
    let name = |seen: Option<Seen>| seen.unwrap().0.process.comm.clone();
    assert_eq!(name(processes.seen(PID)), b"nginx");
    Recorded { comm: "curl", program: 95_000, exe: "/usr/bin/curl", ..NGINX }.write(tree.path(), PID);
    assert_eq!(name(processes.seen(PID)), b"curl");
}

/// It ran another program, which was never read, and its memory is gone.
#[test]
fn one_that_ends_under_another_name_is_not_the_program_before() {
    let (tree, mut processes) = tree(&Recorded { comm: "sh", exe: "/bin/sh", ..NGINX });
    let now = monotonic_ns();
    assert_eq!(comm(processes.at(PID, now).as_ref()), Some(b"sh".as_slice()));
    end(tree.path(), PID, 0);
    let last = processes.at(PID, now + BELIEVED_NS).unwrap();
    assert_eq!((last.comm.as_slice(), &last.exe), (b"nginx".as_slice(), &None));
}

/// The process that has the id now counts, whichever process had it before.
#[test]
fn the_next_process_with_an_id_is_not_the_one_that_ended() {
    let (tree, mut processes) = tree(&NGINX);
    let now = monotonic_ns();
    assert!(processes.at(PID, now).is_some());
    end(tree.path(), PID, 0);
    let directory = tree.path().join(format!("proc/{PID}"));
    fs::remove_dir_all(&directory).unwrap();
    assert_eq!(processes.at(PID, now + BELIEVED_NS), None);
    Recorded { comm: "sh", start: 5000, exe: "/bin/sh", ..NGINX }.write(tree.path(), PID);
    let next = processes.of_event_at(PID, now, Some(b"nginx"), now + BELIEVED_NS).unwrap();
    assert_eq!((next.start_ticks, next.exe.as_deref()), (5000, Some(b"/bin/sh".as_slice())));
}

/// Its main thread has ended. Other threads go on, and still have its program.
#[test]
fn threads_that_live_have_the_program() {
    let (tree, mut processes) = tree(&NGINX);
    end(tree.path(), PID, 1);
    let thread = tree.path().join(format!("proc/{PID}/task/{}", PID + 1));
    fs::create_dir_all(thread.join("ns")).unwrap();
    symlink(NGINX.exe, thread.join("exe")).unwrap();
    symlink("net:[4026531840]", thread.join("ns/net")).unwrap();
    let process = processes.at(PID, 1).unwrap();
    assert_eq!(process.exe.as_deref(), Some(NGINX.exe.as_bytes()));
    assert_eq!(process.netns, Some(4_026_531_840));
    assert_eq!(processes.life_at(PID, 1), Life::Lives(4711));
}

#[test]
fn an_unchanged_one_is_not_read_again_and_the_oldest_are_forgotten() {
    let (tree, mut processes) = tree(&NGINX);
    let now = monotonic_ns();
    let first = processes.at(PID, now).unwrap();
    assert!(Arc::ptr_eq(&first, &processes.at(PID, now + BELIEVED_NS).unwrap()));
    processes.known.set_capacity(2);
    for pid in [PID + 1, PID + 2] {
        NGINX.write(tree.path(), pid);
        assert!(processes.at(pid, now).is_some());
    }
    assert_eq!(processes.known.len(), 2);
    assert!(processes.known.get(&PID).is_none(), "the one asked for least recently");
}

/// This process, by the running kernel.
#[test]
fn oneself() {
    let process = Processes::new().get(std::process::id()).unwrap();
    assert_eq!(process.uid, nix::unistd::getuid().as_raw());
    let exe = std::env::current_exe().unwrap();
    assert_eq!(process.exe.as_deref(), Some(exe.as_os_str().as_encoded_bytes()));
    assert!(process.netns.is_some_and(|netns| netns > 0) && !process.exe_deleted);
}
