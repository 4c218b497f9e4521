//! A namespace with sockets in every state, which do not change while the test runs.

use std::{
    ffi::OsStr,
    net::{Shutdown, SocketAddr},
    process::{Command, Stdio},
};

use socket2::Socket;
use tcptrace_tests::{
    host,
    net::{Family, begin_connect, connect, deafen, hear, listen, pair, read_end, socket},
    netns::Namespace,
    slot::Slot,
    wait::eventually,
};

use crate::{run::SocketsRun, ss};

/// A namespace and the ports in it.
pub(crate) struct Stage {
    pub(crate) namespace: Namespace,
    pub(crate) slot: Slot,
    _host: host::Guard,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let host = host::share();
        let slot = Slot::take();
        let namespace = Namespace::new(&slot.ephemeral());
        Self { namespace, slot, _host: host }
    }

    /// Runs `tcptrace sockets` on the namespace.
    pub(crate) fn look(&self, arguments: &[&str]) -> SocketsRun {
        let netns = self.namespace.path().to_owned();
        SocketsRun::at(&[&["--netns", &netns], arguments].concat())
    }

    /// A command that runs a program in the namespace.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.namespace.path())).arg(program).stdin(Stdio::null());
        command
    }

    /// The sockets of the namespace according to `ss`.
    pub(crate) fn ss(&self) -> Vec<ss::Line> {
        self.namespace.run(ss::lines)
    }

    /// Makes sockets in the namespace. They live as long as the namespace, or until `drop_sockets`.
    pub(crate) fn play(&self, scene: impl FnOnce(&mut Vec<Socket>) + Send + 'static) {
        self.namespace.run(|| {
            let mut sockets = Vec::new();
            scene(&mut sockets);
            KEPT.with_borrow_mut(|kept| kept.append(&mut sockets));
        });
    }

    /// Closes all sockets made by `play`.
    #[cfg(feature = "schemas")]
    pub(crate) fn drop_sockets(&self) {
        self.namespace.run(|| drop(KEPT.take()));
    }
}

thread_local! {
    /// The sockets of this thread's namespace.
    static KEPT: std::cell::RefCell<Vec<Socket>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// A connection between two ports of the slot.
fn connected(kept: &mut Vec<Socket>, address: SocketAddr) -> (Socket, Socket) {
    let listener = listen(address);
    let ends = pair(&listener, to(address));
    kept.push(listener);
    ends
}

fn to(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() { Family::MappedServer.connect(address.port()) } else { address }
}

/// Makes a socket, or two, in each state but CLOSE: nine of them with a program, three without.
pub(crate) fn every_state(kept: &mut Vec<Socket>, listen_at: impl Fn(u16) -> SocketAddr) {
    // SYN_SENT, and SYN_RECV at the listener: the client drops the reply.
    let address = listen_at(0);
    kept.push(listen(address));
    let client = socket(to(address));
    deafen(&client);
    begin_connect(&client, to(address));
    kept.push(client);
    // Two connections that are not accepted, in a queue for one.
    let address = listen_at(1);
    let listener = socket(address);
    listener.bind(&address.into()).expect("bind");
    listener.listen(7).expect("listen");
    kept.extend([connect(to(address)), connect(to(address)), listener]);
    // ESTABLISHED, with data that waits in both directions.
    let (client, server) = connected(kept, listen_at(2));
    client.send(b"unread").expect("data");
    eventually("data arrives", || client_is_acknowledged(&server, 6));
    deafen(&server);
    client.send(b"unheard").expect("data");
    kept.extend([client, server]);
    // FIN_WAIT2 and CLOSE_WAIT, the first with its program.
    let (client, server) = connected(kept, listen_at(3));
    client.shutdown(Shutdown::Write).expect("shutdown");
    read_end(&server);
    kept.extend([client, server]);
    // FIN_WAIT2 without a program.
    let (client, server) = connected(kept, listen_at(4));
    drop(client);
    read_end(&server);
    kept.push(server);
    // TIME_WAIT.
    let (client, server) = connected(kept, listen_at(5));
    client.shutdown(Shutdown::Write).expect("shutdown");
    read_end(&server);
    drop(server);
    read_end(&client);
    drop(client);
    // FIN_WAIT1: the client drops the acknowledgement.
    let (client, server) = connected(kept, listen_at(6));
    deafen(&client);
    client.shutdown(Shutdown::Write).expect("shutdown");
    read_end(&server);
    kept.extend([client, server]);
    // LAST_ACK.
    let (client, server) = connected(kept, listen_at(7));
    client.shutdown(Shutdown::Write).expect("shutdown");
    read_end(&server);
    deafen(&server);
    server.shutdown(Shutdown::Write).expect("shutdown");
    kept.extend([client, server]);
    // CLOSING: both sides drop the first FIN; then one side receives the retransmitted FIN.
    let (client, server) = connected(kept, listen_at(8));
    deafen(&client);
    deafen(&server);
    client.shutdown(Shutdown::Write).expect("shutdown");
    server.shutdown(Shutdown::Write).expect("shutdown");
    hear(&client);
    kept.extend([client, server]);
}

fn client_is_acknowledged(server: &Socket, bytes: usize) -> bool {
    let mut buffer = [std::mem::MaybeUninit::uninit(); 16];
    server.peek(&mut buffer).is_ok_and(|read| read == bytes)
}

/// The states in which [`every_state`] leaves sockets, once all of them are reached.
pub(crate) const EVERY_STATE: [&str; 10] = [
    "LISTEN",
    "SYN_SENT",
    "SYN_RECV",
    "ESTABLISHED",
    "CLOSE_WAIT",
    "LAST_ACK",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "CLOSING",
    "TIME_WAIT",
];
