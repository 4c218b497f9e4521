//! The load: all that TCP connections do on a host, at constant rates.

use std::{
    collections::VecDeque,
    io::Read as _,
    net::SocketAddr,
    sync::{
        Arc, RwLock, RwLockWriteGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use socket2::Socket;
use tcptrace_tests::{
    net::{
        Family, abort, begin_connect, connect, connect_error, deafen, listen, pair, peek, read_end, socket,
    },
    syn,
};

/// Connections that are open at any time, each for close to a minute.
const HELD: usize = 100;
/// SYNs in a burst.
const BURST: u16 = 64;
/// Listeners that share the short connections. Each pair of addresses has a limited number of ports until the oldest
/// port leaves TIME_WAIT.
const LISTENERS: u16 = 16;

/// The ports of the parts, below the ports that the namespace gives to unbound sockets.
mod port {
    pub(super) const SHORT: u16 = 8_000;
    pub(super) const HELD: u16 = 8_100;
    pub(super) const RESET: u16 = 8_101;
    pub(super) const NOBODY: u16 = 8_102;
    pub(super) const DEAF: u16 = 8_103;
    pub(super) const PASSING: u16 = 8_104;
    pub(super) const FLOODED: u16 = 8_105;
}

/// All parts of the load, which run until they are stopped.
pub(crate) struct Mix {
    /// A lock that a part holds while it acts.
    gate: Arc<RwLock<()>>,
    stop: Arc<AtomicBool>,
    syns: Arc<AtomicU64>,
    parts: Vec<JoinHandle<()>>,
}

impl Mix {
    /// Starts the load, with this many short connections a second.
    pub(crate) fn start(connections_per_second: u32) -> Self {
        let mut mix =
            Self { gate: Arc::default(), stop: Arc::default(), syns: Arc::default(), parts: Vec::new() };
        let (families, every) = ([Family::V4, Family::V6], Duration::from_millis);
        // The number of connections that are due in ten milliseconds.
        let at_once = connections_per_second.div_ceil(100);
        let mut short = short(families);
        mix.part(Duration::from_secs(at_once.into()) / connections_per_second, move || {
            (0..at_once).for_each(|_| short());
        });
        for family in families {
            mix.part(every(1_000), held(family));
            mix.part(every(250), resets(family));
            mix.part(every(250), move || {
                connect_error(family.connect(port::NOBODY));
            });
            mix.part(every(500), move || passing(family));
        }
        let deaf = listen(Family::V4.listen(port::DEAF));
        deafen(&deaf);
        let cancelled = Family::V4.connect(port::DEAF);
        mix.part(every(500), move || {
            let client = socket(cancelled);
            begin_connect(&client, cancelled);
        });
        mix.part(every(5_000), move || {
            connect_error(Family::V4.connect(port::DEAF));
            // Moves the socket into this part.
            let _ = &deaf;
        });
        let flooded = listen(Family::V4.listen(port::FLOODED));
        let syns = Arc::clone(&mix.syns);
        mix.part(every(10_000), move || {
            syn::flood(Family::V4.connect(port::FLOODED), BURST);
            syns.fetch_add(BURST.into(), Ordering::Relaxed);
            let _ = &flooded;
        });
        mix
    }

    /// Repeats `act` every `period`, except during a pause.
    fn part(&mut self, period: Duration, mut act: impl FnMut() + Send + 'static) {
        let (gate, stop) = (Arc::clone(&self.gate), Arc::clone(&self.stop));
        self.parts.push(thread::spawn(move || {
            let mut due = Instant::now();
            while !stop.load(Ordering::Relaxed) {
                {
                    let _pass = gate.read();
                    act();
                }
                due = (due + period).max(Instant::now());
                while !stop.load(Ordering::Relaxed) && Instant::now() < due {
                    thread::sleep(
                        due.saturating_duration_since(Instant::now()).min(Duration::from_millis(200)),
                    );
                }
            }
        }));
    }

    /// Waits until no part acts. No part acts until the returned guard is dropped. Open connections stay open.
    pub(crate) fn pause(&self) -> RwLockWriteGuard<'_, ()> {
        self.gate.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Whether every part still runs.
    pub(crate) fn is_whole(&self) -> bool {
        self.parts.iter().all(|part| !part.is_finished())
    }

    /// Ends all parts and closes their connections; returns the number of SYNs that were sent in bursts.
    ///
    /// # Errors
    /// When a part had ended before.
    pub(crate) fn stop(self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        for part in self.parts {
            ensure!(part.join().is_ok(), "a part of the load has failed: see above");
        }
        Ok(self.syns.load(Ordering::Relaxed))
    }
}

/// Connections that the client closes first, through one listener after the other.
fn short(families: [Family; 2]) -> impl FnMut() + Send + 'static {
    let listeners: Vec<(Socket, SocketAddr)> = (0..LISTENERS)
        .flat_map(|number| families.map(|family| (family, port::SHORT + number)))
        .map(|(family, port)| (listen(family.listen(port)), family.connect(port)))
        .collect();
    let mut turn = 0;
    move || {
        let (listener, address) = &listeners[turn % listeners.len()];
        turn += 1;
        let (client, server) = pair(listener, *address);
        drop(client);
        read_end(&server);
    }
}

/// Connections that stay open for long. The oldest are closed, alternately by a FIN and by a reset.
fn held(family: Family) -> impl FnMut() + Send + 'static {
    let listener = listen(family.listen(port::HELD));
    let mut open = VecDeque::new();
    move || {
        let address = family.connect(port::HELD);
        open.extend([pair(&listener, address), pair(&listener, address)]);
        if open.len() > HELD / 2 {
            open.pop_front();
            if let Some((client, server)) = open.pop_front() {
                abort(client);
                await_end(&server);
            }
        }
    }
}

/// Connections that one side resets, alternately with `SO_LINGER` 0, and by closing with unread data.
fn resets(family: Family) -> impl FnMut() + Send + 'static {
    let listener = listen(family.listen(port::RESET));
    let mut linger = false;
    move || {
        linger = !linger;
        let (client, server) = pair(&listener, family.connect(port::RESET));
        if linger {
            abort(client);
            await_end(&server);
        } else if client.send(b"x").is_ok() {
            peek(&server);
            drop(server);
            await_end(&client);
        }
    }
}

/// Waits until the connection has ended, in any way: the check compares the tracer's output with the counters, whatever
/// the end is.
fn await_end(mut socket: &Socket) {
    let _ = socket.read(&mut [0]);
}

/// Opens a listener, and closes it without accepting the connections to it.
fn passing(family: Family) {
    let listener = listen(family.listen(port::PASSING));
    let client = connect(family.connect(port::PASSING));
    drop(listener);
    await_end(&client);
}
