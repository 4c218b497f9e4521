//! Well-behaved clients: they make requests at a steady rate, and count them.

use std::{
    io,
    net::SocketAddr,
    ops::AddAssign,
    thread,
    time::{Duration, Instant},
};

use super::{client::Client, interrupt::is_interrupted};

/// Counts of the clients' actions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Connections that were established.
    pub connections: u64,
    /// Requests that were answered.
    pub requests: u64,
    /// Connections that the server had closed before the client used them again.
    pub closed: u64,
    /// Connections and requests that failed otherwise.
    pub failed: u64,
}

impl AddAssign for Made {
    fn add_assign(&mut self, more: Self) {
        self.connections += more.connections;
        self.requests += more.requests;
        self.closed += more.closed;
        self.failed += more.failed;
    }
}

/// The way in which clients use their connections.
#[derive(Clone, Copy, Debug)]
pub struct Habit {
    /// The number of concurrent clients.
    pub clients: usize,
    /// Requests on a connection before the client closes it.
    pub requests: u64,
    /// The time between two requests of a client.
    pub pause: Duration,
    /// The time for which they go on.
    pub time: Duration,
}

/// Runs clients that make requests; `request` makes one on a connection. The caller must be in the clients' namespace.
pub fn work(
    server: SocketAddr,
    habit: Habit,
    request: impl Fn(&mut Client) -> io::Result<()> + Copy + Send + Sync,
) -> Made {
    let end = Instant::now() + habit.time;
    let one = || {
        let mut made = Made::default();
        while Instant::now() < end && !is_interrupted() {
            if let Ok(client) = Client::connect(server) {
                made.connections += 1;
                use_up(client, habit, end, request, &mut made);
            } else {
                made.failed += 1;
                thread::sleep(habit.pause);
            }
        }
        made
    };
    let mut all = Made::default();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..habit.clients).map(|_| scope.spawn(one)).collect();
        for client in clients {
            all += client.join().expect("a client ends well");
        }
    });
    all
}

/// Runs one connection of a client to its end.
fn use_up(
    mut client: Client,
    habit: Habit,
    end: Instant,
    request: impl Fn(&mut Client) -> io::Result<()>,
    made: &mut Made,
) {
    for number in 0..habit.requests {
        match request(&mut client) {
            Ok(()) => made.requests += 1,
            // A server may close an idle connection while a client is about to use it again.
            Err(_) if number > 0 => {
                made.closed += 1;
                return;
            }
            Err(_) => {
                made.failed += 1;
                return;
            }
        }
        thread::sleep(habit.pause);
        if Instant::now() >= end {
            return;
        }
    }
}
