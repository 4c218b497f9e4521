//! A load of short TCP connections on loopback: connect, accept, close by the client, close by the server.
//!
//! Each connection makes ten transitions, and each of the listeners (one for each thread) two. Each thread is client
//! and server of one connection at a time, so that no queue overflows and nothing depends on timing. Destinations
//! spread over 127.0.0.0/8: a pair of addresses has a limited number of ports until the oldest port leaves `TIME_WAIT`.

use std::{
    env,
    io::{self, Read as _},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    process::{Command, ExitCode},
    thread,
    time::Instant,
};

const USAGE: &str = "usage: load --connections N [--threads T] [--port P] [--netns-self]
Makes N TCP connections (at most 200000) with T threads (1 to 16, one unless given), on loopback.
  --port P      the first thread listens on P, the next on P+1...; ephemeral ports unless given
  --netns-self  in a new network namespace (needs root)
Prints one line of JSON: connections, threads, seconds, connections_per_second.";

/// Connections to one address: fewer than the 28,000 ephemeral ports of the default range, since each port is in
/// `TIME_WAIT` afterwards.
const PER_ADDRESS: u32 = 8_000;
const MOST: u32 = 200_000;

struct Options {
    connections: u32,
    threads: u32,
    port: u16,
    netns_self: bool,
}

fn main() -> ExitCode {
    let options = match options(env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("load: {message}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options(mut words: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options { connections: 0, threads: 1, port: 0, netns_self: false };
    while let Some(word) = words.next() {
        let mut number = |limits: std::ops::RangeInclusive<u32>| {
            let value = words.next().unwrap_or_default();
            let number = value.parse().ok().filter(|number| limits.contains(number));
            number.ok_or_else(|| {
                format!("{word} '{value}': not a number from {} to {}", limits.start(), limits.end())
            })
        };
        match word.as_str() {
            "--connections" => options.connections = number(1..=MOST)?,
            "--threads" => options.threads = number(1..=16)?,
            "--port" => options.port = number(1..=65_000)?.try_into().map_err(|_| "not a port")?,
            "--netns-self" => options.netns_self = true,
            _ => return Err(format!("unknown argument '{word}'")),
        }
    }
    if options.connections == 0 {
        return Err("--connections is missing".to_owned());
    }
    Ok(options)
}

fn run(options: &Options) -> io::Result<()> {
    if options.netns_self {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET)?;
        let up = Command::new("ip").args(["link", "set", "lo", "up"]).status()?;
        if !up.success() {
            return Err(io::Error::other("ip link set lo up failed"));
        }
    }
    let listeners = (0..options.threads)
        .map(|thread| {
            let port = if options.port == 0 { 0 } else { options.port + u16::try_from(thread).unwrap_or(0) };
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))
        })
        .collect::<io::Result<Vec<_>>>()?;
    let start = Instant::now();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..options.threads)
            .zip(listeners)
            .map(|(thread, listener)| {
                let (all, threads) = (options.connections, options.threads);
                let share = all / threads + u32::from(thread < all % threads);
                scope.spawn(move || (0..share).try_for_each(|index| connection(&listener, index)))
            })
            .collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))
        })
    })?;
    let seconds = start.elapsed().as_secs_f64();
    let report = serde_json::json!({
        "connections": options.connections,
        "threads": options.threads,
        "seconds": seconds,
        "connections_per_second": f64::from(options.connections) / seconds,
    });
    println!("{report}");
    Ok(())
}

fn connection(listener: &TcpListener, index: u32) -> io::Result<()> {
    let port = listener.local_addr()?.port();
    let address = Ipv4Addr::from(u32::from(Ipv4Addr::LOCALHOST) + index / PER_ADDRESS);
    let mut client = TcpStream::connect(SocketAddr::from((address, port)))?;
    let (mut server, _) = listener.accept()?;
    client.shutdown(Shutdown::Write)?;
    expect_end(&mut server)?;
    drop(server);
    expect_end(&mut client)
}

fn expect_end(stream: &mut TcpStream) -> io::Result<()> {
    match stream.read(&mut [0])? {
        0 => Ok(()),
        _ => Err(io::Error::other("data where none was sent")),
    }
}
