//! Recorded trees of `/proc`.

use std::os::unix::fs::symlink;

use super::*;

/// Beyond any id that the kernel gives, so that no process of the running host has it.
const PID: u32 = 5_000_000;

/// A thread of a process with these descriptors.
fn thread(root: &Path, pid: u32, tid: u32, descriptors: &[(u32, &str)]) {
    let directory = root.join(format!("proc/{pid}/task/{tid}/fd"));
    fs::create_dir_all(&directory).unwrap();
    for (fd, target) in descriptors {
        symlink(target, directory.join(fd.to_string())).unwrap();
    }
}

fn sockets(root: &Path) -> Vec<(u64, Holder)> {
    let mut found = read(root);
    assert_eq!(found.unreadable, 0);
    found.sockets.sort_unstable();
    found.sockets
}

#[test]
fn sockets_of_all_processes_and_nothing_else() {
    let tree = tempfile::tempdir().unwrap();
    thread(tree.path(), 1, 1, &[(0, "/dev/null")]);
    let others =
        [(4, "socket:[x]"), (5, "socket:[7"), (6, "pipe:[8]"), (7, "/tmp/socket:[9]"), (8, "socket:[-1]")];
    thread(tree.path(), PID, PID, &others);
    thread(tree.path(), PID + 1, PID + 1, &[(3, "socket:[42]"), (9, "socket:[43]")]);
    thread(tree.path(), PID + 2, PID + 2, &[(3, "socket:[42]")]);
    fs::create_dir(tree.path().join("proc/sys")).unwrap();
    let holder = |pid, fd| Holder { pid, fd };
    let expected = [(42, holder(PID + 1, 3)), (42, holder(PID + 2, 3)), (43, holder(PID + 1, 9))];
    assert_eq!(sockets(tree.path()), expected);
}

/// Whether a recorded thread shares its process' table is unknown, so its table is read.
#[test]
fn a_threads_own_table_is_its_process() {
    let tree = tempfile::tempdir().unwrap();
    thread(tree.path(), 1, 1, &[]);
    thread(tree.path(), PID, PID, &[]);
    thread(tree.path(), PID, PID + 3, &[(4, "socket:[44]")]);
    assert_eq!(sockets(tree.path()), [(44, Holder { pid: PID, fd: 4 })]);
}

#[test]
fn what_cannot_be_read_is_counted() {
    let tree = tempfile::tempdir().unwrap();
    assert_eq!(read(tree.path()).unreadable, 1, "no /proc");
    thread(tree.path(), PID, PID, &[(3, "socket:[42]")]);
    let hidden = read(tree.path());
    assert_eq!((hidden.unreadable, hidden.sockets.len()), (1, 1), "process 1 is hidden, so others are, too");
    thread(tree.path(), 1, 1, &[]);
    // A directory in place of a link, and a file in place of a table.
    fs::create_dir_all(tree.path().join(format!("proc/{PID}/task/{PID}/fd/9"))).unwrap();
    fs::create_dir_all(tree.path().join(format!("proc/{}/task", PID + 1))).unwrap();
    fs::create_dir_all(tree.path().join(format!("proc/{0}/task/{0}", PID + 1))).unwrap();
    fs::write(tree.path().join(format!("proc/{0}/task/{0}/fd", PID + 1)), "").unwrap();
    let found = read(tree.path());
    assert_eq!(
        (found.unreadable, found.sockets.len()),
        (2, 1),
        "each is one, and the rest is read all the same"
    );
}

/// A process that ends while `/proc` is read.
#[test]
fn what_is_gone_is_no_gap() {
    let tree = tempfile::tempdir().unwrap();
    thread(tree.path(), 1, 1, &[]);
    fs::create_dir_all(tree.path().join(format!("proc/{PID}"))).unwrap();
    fs::create_dir_all(tree.path().join(format!("proc/{0}/task/{0}", PID + 1))).unwrap();
    assert_eq!(sockets(tree.path()), []);
}

/// One thread whose table cannot be read does not hide those of the others.
#[test]
fn the_other_threads_are_read() {
    let tree = tempfile::tempdir().unwrap();
    thread(tree.path(), 1, 1, &[]);
    // In whatever order they come, one that can be read follows one that cannot.
    for tid in [PID, PID + 4] {
        fs::create_dir_all(tree.path().join(format!("proc/{PID}/task/{tid}/fd/9"))).unwrap();
    }
    for tid in [PID + 2, PID + 3] {
        thread(tree.path(), PID, tid, &[(4, "socket:[44]")]);
    }
    let found = read(tree.path());
    assert_eq!(found.unreadable, 1, "it is one process");
    assert_eq!(found.sockets, [(44, Holder { pid: PID, fd: 4 }); 2]);
}
