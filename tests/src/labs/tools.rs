//! What roles are made of: servers, clients and their pace.

use std::{
    env,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::fd::{AsFd as _, OwnedFd},
    process::{self, Command, Stdio},
    sync::OnceLock,
    thread::{self, sleep},
    time::{Duration, Instant},
};

use nix::unistd::alarm;
use socket2::{Domain, Socket, Type};

use super::Situation;
use crate::{netns::V4, process::Running};

/// Where the situation's server listens, seen from its own namespace.
pub(super) fn local() -> SocketAddr {
    at(V4, port())
}

/// The server seen from its peer's namespace.
pub(super) fn remote() -> SocketAddr {
    at(playing().addresses[0], port())
}

/// The server of the peer's namespace, seen from the situation's.
pub(super) fn peer() -> SocketAddr {
    at(playing().addresses[1], port())
}

/// Any address of the server's namespace.
pub(super) fn any() -> SocketAddr {
    at(Ipv4Addr::UNSPECIFIED, port())
}

/// The first of the situation's two ports.
pub(super) fn port() -> u16 {
    playing().port
}

fn playing() -> &'static Playing {
    SITUATION.get().expect("a role is being played")
}

pub(super) const REQUEST: usize = 100;
const ANSWER: usize = 1_000;
/// How long a role may prepare, in seconds.
const PREPARATION_S: u32 = 40;

static SITUATION: OnceLock<Playing> = OnceLock::new();

/// What a role knows of its situation.
struct Playing {
    name: &'static str,
    port: u16,
    addresses: [Ipv4Addr; 2],
}

pub(super) const fn at(address: Ipv4Addr, port: u16) -> SocketAddr {
    SocketAddr::V4(std::net::SocketAddrV4::new(address, port))
}

/// A role begins: it is killed unless it is ready in time.
pub(super) fn begin(situation: &'static Situation) {
    let [port, _] = situation.ports();
    SITUATION.get_or_init(|| Playing { name: situation.name, port, addresses: situation.addresses() });
    alarm::set(PREPARATION_S);
}

/// Everything is prepared; this process is the one to be named.
pub(super) fn ready() {
    ready_as(process::id());
}

/// Everything is prepared; this other process is the one to be named.
pub(super) fn ready_as(pid: u32) {
    alarm::cancel();
    println!("{pid}");
}

/// Stays as it is.
pub(super) fn forever() -> ! {
    loop {
        sleep(Duration::from_hours(1));
    }
}

pub(super) fn pause(ms: u64) {
    sleep(Duration::from_millis(ms));
}

/// Does something again and again, at this interval.
pub(super) fn every(ms: u64, mut job: impl FnMut()) -> ! {
    let start = Instant::now();
    for turn in 1.. {
        job();
        let next = Duration::from_millis(ms) * turn;
        sleep(next.saturating_sub(start.elapsed()));
    }
    forever()
}

/// Does something in a number of threads, for ever.
pub(super) fn at_once<T: Send + 'static>(all: impl IntoIterator<Item = T>, job: fn(T)) -> ! {
    for one in all {
        thread::spawn(move || job(one));
    }
    forever()
}

/// A listener with `SO_REUSEADDR`.
pub(super) fn listen(address: SocketAddr, backlog: i32) -> TcpListener {
    let socket = bound(address);
    socket.listen(backlog).expect("listen");
    socket.into()
}

/// A socket with `SO_REUSEADDR` that is bound.
pub(super) fn bound(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
    socket.set_reuse_address(true).expect("SO_REUSEADDR");
    socket.bind(&address.into()).unwrap_or_else(|error| panic!("bind to {address}: {error}"));
    socket
}

/// A listener among others at its port.
pub(super) fn listen_shared(address: SocketAddr, backlog: i32) -> TcpListener {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
    socket.set_reuse_port(true).expect("SO_REUSEPORT");
    socket.bind(&address.into()).expect("bind");
    socket.listen(backlog).expect("listen");
    socket.into()
}

/// Accepts for ever; each connection has a thread.
pub(super) fn serve(listener: &TcpListener, job: fn(TcpStream)) -> ! {
    loop {
        if let Ok((stream, _)) = listener.accept() {
            thread::spawn(move || job(stream));
        }
    }
}

/// The same in the background.
pub(super) fn serve_behind(listener: TcpListener, job: fn(TcpStream)) {
    thread::spawn(move || serve(&listener, job));
}

/// An ordinary server's process.
pub(super) fn server(job: fn(TcpStream)) -> ! {
    let listener = listen(any(), 128);
    ready();
    serve(&listener, job)
}

/// Answers requests until the client closes.
pub(super) fn answer_all(mut stream: TcpStream) {
    while answer(&mut stream) {}
}

/// Answers one request; `false` when there is none.
pub(super) fn answer(stream: &mut TcpStream) -> bool {
    stream.read_exact(&mut [0; REQUEST]).is_ok() && stream.write_all(&[0; ANSWER]).is_ok()
}

/// Answers one request and closes.
pub(super) fn answer_once(mut stream: TcpStream) {
    answer(&mut stream);
}

pub(super) fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).unwrap_or_else(|error| panic!("connect to {address}: {error}"))
}

pub(super) fn connect_many(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    (0..count).map(|_| connect(address)).collect()
}

pub(super) fn request(stream: &mut TcpStream) {
    stream.write_all(&[0; REQUEST]).expect("the request");
}

/// Asks, and reads the whole answer.
pub(super) fn ask(stream: &mut TcpStream) {
    request(stream);
    stream.read_exact(&mut [0; ANSWER]).expect("the answer");
}

/// Asks on a connection of its own.
pub(super) fn ask_once(address: SocketAddr) {
    ask(&mut connect(address));
}

/// Reads until the peer closes its side, or resets.
pub(super) fn read_to_end(stream: &mut TcpStream) {
    let mut bytes = [0; 4_096];
    while stream.read(&mut bytes).is_ok_and(|count| count > 0) {}
}

/// Connections whose both ends this process has.
pub(super) fn pairs(
    listener: &TcpListener,
    address: SocketAddr,
    count: usize,
) -> Vec<(TcpStream, TcpStream)> {
    (0..count)
        .map(|_| {
            let client = connect(address);
            (client, listener.accept().expect("accept").0)
        })
        .collect()
}

/// Starts another role of this situation as a child of this process, with `listener` as its standard input.
pub(super) fn child(role: &str, listener: Option<&TcpListener>) -> Running {
    let mut command = play(Command::new(env::current_exe().expect("its path")), role);
    command.stdin(match listener {
        Some(listener) => OwnedFd::from(listener.try_clone().expect("a copy")).into(),
        None => Stdio::null(),
    });
    Running::spawn(&mut command)
}

/// Has a copy of this program play another role of this situation.
pub(super) fn play(mut program: Command, role: &str) -> Command {
    program.args(["play", playing().name, role]).stdin(Stdio::null()).stdout(Stdio::null());
    program
}

/// The listener that a child was started with.
pub(super) fn inherited() -> TcpListener {
    std::io::stdin().as_fd().try_clone_to_owned().expect("a copy").into()
}
