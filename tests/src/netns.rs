//! Network namespaces that live as long as their threads.

use std::{
    fs,
    net::{Ipv6Addr, UdpSocket},
    ops::RangeInclusive,
    os::unix::fs::MetadataExt as _,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::mpsc::{Receiver, Sender, channel},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::{
    sched::{CloneFlags, unshare},
    unistd::gettid,
};

use crate::process::tool;

/// The IPv4 address of every namespace on its loopback.
pub const V4: std::net::Ipv4Addr = std::net::Ipv4Addr::new(192, 0, 2, 1);
/// The IPv6 address of every namespace on its loopback.
pub const V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

type Job = Box<dyn FnOnce() + Send>;

/// A network namespace, held by a thread that runs jobs in it. The namespace ends with the thread, and its devices end
/// with the namespace.
///
/// The thread has a separate table of file descriptors. The reason: a child process that another thread is about to
/// start holds copies of that thread's descriptors for a moment, and a socket that is closed meanwhile would end with
/// the child.
#[derive(Debug)]
pub struct Namespace {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    path: String,
    inode: u32,
}

impl Namespace {
    /// Makes one with the ports that the kernel uses by default, for a load, which needs many.
    pub fn usual() -> Self {
        Self::new(&(32_768..=60_999))
    }

    /// Makes one with [`V4`] and [`V6`] on its loopback, and with these ephemeral ports.
    pub fn new(ephemeral: &RangeInclusive<u16>) -> Self {
        let (jobs, queue) = channel::<Job>();
        let (sender, receiver) = channel();
        let thread = thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_FILES).expect("a network namespace");
            close_inherited();
            let path = format!("/proc/{}/task/{}/ns/net", std::process::id(), gettid());
            let inode = fs::metadata(&path).expect("the namespace's file").ino();
            sender.send((path, u32::try_from(inode).expect("an inode"))).expect("the maker waits");
            for job in queue {
                job();
            }
        });
        let (path, inode) = receiver.recv().expect("a namespace");
        let this = Self { jobs: Some(jobs), thread: Some(thread), path, inode };
        let ports = format!("{} {}", ephemeral.start(), ephemeral.end());
        this.run(move || {
            tool("ip", ["link", "set", "lo", "up"]);
            tool("ip", ["address", "add", &format!("{V4}/24"), "dev", "lo"]);
            tool("ip", ["address", "add", &format!("{V6}/64"), "dev", "lo", "nodad"]);
            sysctl("net/ipv4/ip_local_port_range", &ports);
            await_route();
        });
        this
    }

    /// Inode number of the namespace, in the form that `--netns` takes.
    pub fn inode(&self) -> u32 {
        self.inode
    }

    /// A path to the namespace, valid as long as it lives.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Runs `job` in the namespace and waits for its result; a panic of the job continues here. Sockets and other
    /// descriptors that the job opens must not leave the namespace.
    pub fn run<R: Send + 'static>(&self, job: impl FnOnce() -> R + Send + 'static) -> R {
        self.begin(job).wait()
    }

    /// As [`Self::run`], without waiting.
    pub fn begin<R: Send + 'static>(&self, job: impl FnOnce() -> R + Send + 'static) -> Task<R> {
        let (sender, receiver) = channel();
        let job = move || {
            let _ = sender.send(catch_unwind(AssertUnwindSafe(job)));
        };
        self.jobs.as_ref().expect("not dropped").send(Box::new(job)).expect("the thread runs");
        Task(receiver)
    }

    /// Runs `job` in the namespace and keeps its result there, where its descriptors are.
    pub fn hold<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Held<'_, T> {
        Held { value: Some(self.run(job)), namespace: self }
    }

    /// Joins this namespace with `peer` by a pair of devices: 198.51.100.1/24 here, 198.51.100.2/24 there.
    pub fn join(&self, peer: &Self) {
        self.join_as("198.51.100.1/24", peer, "198.51.100.2/24");
    }

    /// As [`Self::join`], with these addresses.
    pub fn join_as(&self, here: &str, peer: &Self, there: &str) {
        let (path, here, there) = (peer.path.clone(), here.to_owned(), there.to_owned());
        self.run(move || {
            tool("ip", ["link", "add", "veth0", "type", "veth", "peer", "name", "veth1", "netns", &path]);
            tool("ip", ["address", "add", &here, "dev", "veth0"]);
            tool("ip", ["link", "set", "veth0", "up"]);
        });
        peer.run(move || {
            tool("ip", ["address", "add", &there, "dev", "veth1"]);
            tool("ip", ["link", "set", "veth1", "up"]);
        });
    }
}

/// The result of a job, kept in the namespace. It is dropped there: in another thread, the same descriptor number is a
/// different descriptor.
#[derive(Debug)]
pub struct Held<'a, T: Send + 'static> {
    value: Option<T>,
    namespace: &'a Namespace,
}

impl<T: Send + 'static> Drop for Held<'_, T> {
    fn drop(&mut self) {
        let value = self.value.take();
        self.namespace.run(move || drop(value));
    }
}

/// A job that runs in a namespace.
#[derive(Debug)]
pub struct Task<R>(Receiver<thread::Result<R>>);

impl<R> Task<R> {
    /// Waits for the result; a panic of the job continues here.
    pub fn wait(self) -> R {
        self.0.recv().expect("the thread runs").unwrap_or_else(|panic| resume_unwind(panic))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Waits until [`V6`] can be reached and stays reachable: the kernel adds the address's own route a little later than
/// the address. Until then the route of its prefix leads there, but a look-up during the insertion finds no route at
/// all.
fn await_route() {
    let deadline = Instant::now() + Duration::from_secs(10);
    let own = format!("{:032x} 80 ", u128::from(V6));
    let is_there = || fs::read_to_string("/proc/thread-self/net/ipv6_route").expect("IPv6").contains(&own);
    while !is_there() {
        assert!(Instant::now() < deadline, "no route to {V6}");
        thread::sleep(Duration::from_millis(1));
    }
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).expect("an IPv6 socket");
    socket.connect((V6, 1)).unwrap_or_else(|error| panic!("{V6}: {error}"));
}

/// Closes all descriptors except the standard streams in the calling thread's own table. The table begins with copies,
/// which would keep other tests' pipes and files open.
fn close_inherited() {
    let descriptors = fs::read_dir("/proc/thread-self/fd").expect("/proc is mounted");
    let numbers: Vec<i32> =
        descriptors.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    for number in numbers.into_iter().filter(|number| *number > 2) {
        // One of them was the directory's own, which is closed by now.
        let _ = nix::unistd::close(number);
    }
}

/// Sets a sysctl of the calling thread's network namespace.
pub fn sysctl(name: &str, value: &str) {
    fs::write(format!("/proc/sys/{name}"), value).unwrap_or_else(|error| panic!("sysctl {name}: {error}"));
}
