//! Both sources of holders on the running kernel: they agree with each other, and with the sockets that the test itself
//! opens.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    fs,
    io::{Read as _, Write as _},
    os::{fd::AsRawFd as _, linux::fs::MetadataExt as _},
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError, mpsc::channel},
    thread,
};

use nix::{
    fcntl::{FcntlArg, FdFlag, fcntl},
    sched::{CloneFlags, unshare},
};
use socket2::{Domain, Protocol, Socket, Type};
use tcptrace::scan::process::read_holders_of_proc;
use tcptrace::{
    bpf::{Held, SocketFiles},
    scan::process::{HolderReader, Processes},
};
use tcptrace_core::model::{
    holders::{Holder, Source},
    state::State,
};

/// Runs one test at a time. The tests share one table of descriptors, and each changes it: a thread or a child that
/// another test starts meanwhile would hold its sockets, too.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A socket, by its inode.
fn inode(socket: &Socket) -> u64 {
    fs::metadata(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap().st_ino()
}

/// This process as the holder of a socket, by its descriptor.
fn held_here(socket: &Socket) -> Holder {
    Holder { pid: std::process::id(), fd: u32::try_from(socket.as_raw_fd()).unwrap() }
}

fn tcp() -> Socket {
    Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap()
}

/// A listener on the loopback.
fn listener() -> Socket {
    let socket = tcp();
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(1).unwrap();
    socket
}

/// A program that waits for the end of its input, and ends with the test.
struct Waiting(Child);

impl Waiting {
    /// Starts the program, which inherits `socket`.
    fn with(socket: &Socket, program: &str, arguments: &[&str]) -> Self {
        fcntl(socket, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
        let child =
            Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        fcntl(socket, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
        Self(child.unwrap())
    }

    /// Sends the program a line, and waits for an answer.
    fn ask(&mut self, line: &str) -> u8 {
        self.0.stdin.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
        let mut answer = [0];
        self.0.stdout.as_mut().unwrap().read_exact(&mut answer).unwrap();
        answer[0]
    }

    fn end(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.end();
    }
}

/// The program for the kernel, if this kernel and this user allow it.
fn socket_files() -> Option<SocketFiles> {
    SocketFiles::load().map_err(|error| println!("SKIPPED: {error}")).ok()
}

/// The program's records of one socket.
fn told(socket: &Socket) -> Option<Vec<Held>> {
    let (held, undecodable) = socket_files()?.read().unwrap();
    assert_eq!(undecodable, 0);
    let inode = inode(socket);
    Some(held.into_iter().filter(|held| held.inode == inode).collect())
}

/// Asserts that both sources name exactly these holders.
fn assert_held(inode: u64, mut expected: Vec<Holder>) {
    expected.sort_unstable();
    assert_eq!(read_holders_of_proc().of(inode), expected, "by /proc");
    let mut reader = HolderReader::open();
    if let Some(why) = reader.refusal() {
        println!("SKIPPED: {why}");
        return;
    }
    let holders = reader.read();
    assert_eq!((holders.of(inode), holders.source()), (&expected[..], Source::TaskFile));
    assert_eq!(holders.unreadable(), 0);
}

#[test]
fn held_by_one_descriptor_and_by_two() {
    let _alone = alone();
    let socket = listener();
    assert_held(inode(&socket), vec![held_here(&socket)]);
    let other = socket.try_clone().unwrap();
    assert_held(inode(&socket), vec![held_here(&socket), held_here(&other)]);
    let inode = inode(&socket);
    drop((socket, other));
    assert_held(inode, vec![]);
}

#[test]
fn inherited_by_a_child_until_it_ends() {
    let _alone = alone();
    let socket = listener();
    let mut child = Waiting::with(&socket, "cat", &[]);
    assert_eq!(child.ask("a"), b'a', "it runs");
    let here = held_here(&socket);
    assert_held(inode(&socket), vec![here, Holder { pid: child.0.id(), fd: here.fd }]);
    child.end();
    assert_held(inode(&socket), vec![here]);
}

/// A thread that has left its process' table of descriptors.
#[test]
fn in_the_table_of_a_single_thread() {
    let _alone = alone();
    let (made, inodes) = channel();
    let (done, wait) = channel::<()>();
    let thread = thread::spawn(move || {
        unshare(CloneFlags::CLONE_FILES).unwrap();
        let socket = listener();
        made.send((inode_of_thread(&socket), held_here(&socket))).unwrap();
        let _ = wait.recv();
    });
    let (inode, holder) = inodes.recv().unwrap();
    assert_held(inode, vec![holder]);
    drop(done);
    thread.join().unwrap();
    assert_held(inode, vec![]);
}

/// As [`inode`], in the calling thread's own table.
fn inode_of_thread(socket: &Socket) -> u64 {
    fs::metadata(format!("/proc/thread-self/fd/{}", socket.as_raw_fd())).unwrap().st_ino()
}

#[test]
fn the_program_knows_the_socket() {
    let _alone = alone();
    let socket = listener();
    let Some(told) = told(&socket) else { return };
    let netns = fs::metadata("/proc/self/ns/net").unwrap().st_ino();
    let [held] = told[..] else { panic!("{told:?}") };
    assert_eq!((held.state, held.multipath), (State::LISTEN, false));
    assert_eq!((held.cookie, held.netns.map(u64::from)), (Some(socket.cookie().unwrap()), Some(netns)));
    assert_eq!(HolderReader::open().read().of(held.inode), [held_here(&socket)]);
}

#[test]
fn a_multipath_socket_is_told_as_such() {
    let _alone = alone();
    let Ok(socket) = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::from(262))) else {
        println!("SKIPPED: this kernel has no MPTCP");
        return;
    };
    let Some(told) = told(&socket) else { return };
    assert_eq!(
        told.iter().map(|held| (held.state, held.multipath)).collect::<Vec<_>>(),
        [(State::CLOSE, true)]
    );
    assert_held(inode(&socket), vec![held_here(&socket)]);
}

/// Raw sockets may have the protocol number of TCP, netlink has a protocol 6 of its own, and UDP is another protocol.
#[test]
fn other_sockets_are_not_told() {
    let _alone = alone();
    let raw = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::TCP));
    let netlink = Socket::new(Domain::from(16), Type::RAW, Some(Protocol::from(6)));
    let udp = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP));
    let unix = Socket::new(Domain::UNIX, Type::STREAM, None);
    for socket in [raw, netlink, udp, unix].into_iter().flatten() {
        let Some(told) = told(&socket) else { return };
        assert_eq!(told, [], "{socket:?}");
        assert_eq!(read_holders_of_proc().of(inode(&socket)), [held_here(&socket)]);
    }
}

/// Many more sockets than one read of the iterator returns.
#[test]
fn thousands_of_sockets() {
    let _alone = alone();
    let sockets: Vec<Socket> =
        (0..3_000).map_while(|_| Socket::new(Domain::IPV4, Type::STREAM, None).ok()).collect();
    assert!(sockets.len() > 900, "a usual limit of descriptors");
    let (kernel, proc) = (HolderReader::open().read(), read_holders_of_proc());
    for socket in &sockets {
        let expected = [held_here(socket)];
        assert_eq!((kernel.of(inode(socket)), proc.of(inode(socket))), (&expected[..], &expected[..]));
    }
}

/// One process, first a shell, then another program.
#[test]
fn a_process_that_runs_another_program() {
    let _alone = alone();
    let socket = listener();
    let mut shell = Waiting::with(&socket, "sh", &["-c", "echo; read -r line; exec cat"]);
    assert_eq!(shell.ask(""), b'\n', "it runs");
    let pid = shell.0.id();
    let mut processes = Processes::new();
    let before = processes.get(pid).unwrap();
    assert_eq!((before.pid, before.comm.as_slice()), (pid, b"sh".as_slice()));
    assert_eq!(shell.ask("\nb"), b'b', "cat answers");
    thread::sleep(std::time::Duration::from_millis(60));
    let after = processes.get(pid).unwrap();
    assert_eq!((after.comm.as_slice(), after.start_ticks), (b"cat".as_slice(), before.start_ticks));
    assert_eq!(
        after.exe,
        Some(fs::read_link(format!("/proc/{pid}/exe")).unwrap().into_os_string().into_encoded_bytes())
    );
    shell.end();
    thread::sleep(std::time::Duration::from_millis(60));
    assert_eq!(processes.get(pid), None);
}

#[test]
fn a_program_whose_file_is_gone() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().canonicalize().unwrap().join("a cat (deleted)");
    assert!(Command::new("cp").arg("/bin/cat").arg(&program).status().unwrap().success());
    let mut child = Waiting::with(&tcp(), program.to_str().unwrap(), &[]);
    assert_eq!(child.ask("a"), b'a', "it runs");
    fs::remove_file(&program).unwrap();
    let process = Processes::new().get(child.0.id()).unwrap();
    assert_eq!(process.exe.as_deref(), Some(program.as_os_str().as_encoded_bytes()));
    assert!(process.exe_deleted && process.comm == b"a cat (deleted)", "{process:?}");
}
