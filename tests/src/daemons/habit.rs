//! Clients that are in nobody's way: they keep a pace, and count what they do.

use std::{
    io,
    net::SocketAddr,
    ops::AddAssign,
    thread,
    time::{Duration, Instant},
};

use super::{client::Client, interrupt::is_interrupted};

/// What clients have done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Connections that were established.
    pub connections: u64,
    /// Requests that were answered.
    pub requests: u64,
    /// Connections that the server had closed when they were used again.
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

/// How clients use what they connect to.
#[derive(Clone, Copy, Debug)]
pub struct Habit {
    /// Clients at once.
    pub clients: usize,
    /// Requests on a connection before the client closes it.
    pub requests: u64,
    /// Between two requests of a client.
    pub pause: Duration,
    /// How long they go on.
    pub time: Duration,
}

/// Has clients make requests; `request` makes one on a connection. Call it in the clients' namespace.
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

/// All that a client does with one connection.
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
            // A server may close what is idle while a client is about to use it again.
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
