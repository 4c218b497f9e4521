//! The parts of roles: servers, clients and timing.

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

/// The address of the situation's server, seen from its own namespace.
pub(super) fn local() -> SocketAddr {
    at(V4, port())
}

/// The address of that server, seen from its peer's namespace.
pub(super) fn remote() -> SocketAddr {
    at(playing().addresses[0], port())
}

/// The address of the server in the peer's namespace, seen from the situation's.
pub(super) fn peer() -> SocketAddr {
    at(playing().addresses[1], port())
}

/// The wildcard address in the server's namespace.
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
/// The time that a role may take to prepare, in seconds.
const PREPARATION_S: u32 = 40;

static SITUATION: OnceLock<Playing> = OnceLock::new();

/// The facts that a role knows about its situation.
struct Playing {
    name: &'static str,
    port: u16,
    addresses: [Ipv4Addr; 2],
}

pub(super) const fn at(address: Ipv4Addr, port: u16) -> SocketAddr {
    SocketAddr::V4(std::net::SocketAddrV4::new(address, port))
}

/// Begins a role. It is killed unless it is ready in time.
pub(super) fn begin(situation: &'static Situation) {
    let [port, _] = situation.ports();
    SITUATION.get_or_init(|| Playing { name: situation.name, port, addresses: situation.addresses() });
    alarm::set(PREPARATION_S);
}

/// Reports that the role is ready. Findings must name this process.
pub(super) fn ready() {
    ready_as(process::id());
}

/// Reports that the role is ready. Findings must name this other process.
pub(super) fn ready_as(pid: u32) {
    alarm::cancel();
    println!("{pid}");
}

/// Does nothing more.
pub(super) fn forever() -> ! {
    loop {
        sleep(Duration::from_hours(1));
    }
}

pub(super) fn pause(ms: u64) {
    sleep(Duration::from_millis(ms));
}

/// Repeats a job at this interval.
pub(super) fn every(ms: u64, mut job: impl FnMut()) -> ! {
    let start = Instant::now();
    for turn in 1.. {
        job();
        let next = Duration::from_millis(ms) * turn;
        sleep(next.saturating_sub(start.elapsed()));
    }
    forever()
}

/// Runs a job in a number of threads, for ever.
pub(super) fn at_once<T: Send + 'static>(all: impl IntoIterator<Item = T>, job: fn(T)) -> ! {
    for one in all {
        thread::spawn(move || job(one));
    }
    forever()
}

/// Makes a listener with `SO_REUSEADDR`.
pub(super) fn listen(address: SocketAddr, backlog: i32) -> TcpListener {
    let socket = bound(address);
    socket.listen(backlog).expect("listen");
    socket.into()
}

/// Makes a bound socket with `SO_REUSEADDR`.
pub(super) fn bound(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
    socket.set_reuse_address(true).expect("SO_REUSEADDR");
    socket.bind(&address.into()).unwrap_or_else(|error| panic!("bind to {address}: {error}"));
    socket
}

/// Makes a listener that shares its port with others.
pub(super) fn listen_shared(address: SocketAddr, backlog: i32) -> TcpListener {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
    socket.set_reuse_port(true).expect("SO_REUSEPORT");
    socket.bind(&address.into()).expect("bind");
    socket.listen(backlog).expect("listen");
    socket.into()
}

/// Accepts for ever; each connection gets a thread.
pub(super) fn serve(listener: &TcpListener, job: fn(TcpStream)) -> ! {
    loop {
        if let Ok((stream, _)) = listener.accept() {
            thread::spawn(move || job(stream));
        }
    }
}

/// As [`serve`], in the background.
pub(super) fn serve_behind(listener: TcpListener, job: fn(TcpStream)) {
    thread::spawn(move || serve(&listener, job));
}

/// Runs the process of an ordinary server.
pub(super) fn server(job: fn(TcpStream)) -> ! {
    let listener = listen(any(), 128);
    ready();
    serve(&listener, job)
}

/// Serves requests until the client closes.
pub(super) fn answer_all(mut stream: TcpStream) {
    while answer(&mut stream) {}
}

/// Serves one request; `false` if there is none.
pub(super) fn answer(stream: &mut TcpStream) -> bool {
    stream.read_exact(&mut [0; REQUEST]).is_ok() && stream.write_all(&[0; ANSWER]).is_ok()
}

/// Serves one request and closes.
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

/// Sends a request, and reads the whole response.
pub(super) fn ask(stream: &mut TcpStream) {
    request(stream);
    stream.read_exact(&mut [0; ANSWER]).expect("the answer");
}

/// Sends a request on a new connection.
pub(super) fn ask_once(address: SocketAddr) {
    ask(&mut connect(address));
}

/// Reads until the peer closes its side, or resets.
pub(super) fn read_to_end(stream: &mut TcpStream) {
    let mut bytes = [0; 4_096];
    while stream.read(&mut bytes).is_ok_and(|count| count > 0) {}
}

/// Connections with both ends in this process.
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

/// Makes a copy of this program play another role of this situation.
pub(super) fn play(mut program: Command, role: &str) -> Command {
    program.args(["play", playing().name, role]).stdin(Stdio::null()).stdout(Stdio::null());
    program
}

/// The listener that a child was started with.
pub(super) fn inherited() -> TcpListener {
    std::io::stdin().as_fd().try_clone_to_owned().expect("a copy").into()
}
