//! By FIN.

use std::{net::Shutdown, thread::sleep, time::Duration};

use tcptrace_tests::{
    acts, both_hooks,
    ends::{end, ends},
    machine::Hook,
    net::{Family, listen, pair, read_end},
    world::Ports,
};

use super::LISTENER;

both_hooks!(client_first, client_first_v6, server_first, half_closed, simultaneous);

fn client_first_by(hook: Hook, name: &str, family: Family) {
    ends(hook, name, move |ports| {
        let listener = listen(ports.listen(family));
        let (client, server) = pair(&listener, ports.connect(family));
        drop(client);
        read_end(&server);
        drop((server, listener));
        vec![end(LISTENER), end("client FIN_WAIT2 active_close"), end("server LAST_ACK passive_close")]
    });
}

fn client_first(hook: Hook, name: &str) {
    client_first_by(hook, name, Family::V4);
}

fn client_first_v6(hook: Hook, name: &str) {
    client_first_by(hook, name, Family::V6);
}

fn server_first(hook: Hook, name: &str) {
    ends(hook, name, |ports: Ports| {
        let listener = listen(ports.listen(Family::V4));
        let (client, server) = pair(&listener, ports.connect(Family::V4));
        drop(server);
        read_end(&client);
        drop((client, listener));
        vec![end(LISTENER), end("client LAST_ACK passive_close"), end("server FIN_WAIT2 active_close")]
    });
}

/// The first FIN counts, whoever ends the connection for good.
fn half_closed(hook: Hook, name: &str) {
    ends(hook, name, |ports| {
        let listener = listen(ports.listen(Family::V4));
        let (client, server) = pair(&listener, ports.connect(Family::V4));
        client.shutdown(Shutdown::Write).expect("shutdown");
        read_end(&server);
        sleep(Duration::from_millis(50));
        server.shutdown(Shutdown::Write).expect("shutdown");
        read_end(&client);
        drop((client, server, listener));
        vec![end(LISTENER), end("client FIN_WAIT2 active_close"), end("server LAST_ACK passive_close")]
    });
}

/// Neither hears the other's FIN before it sends its own; then the server hears the client's before it hears the
/// acknowledgement of its own.
fn simultaneous(hook: Hook, name: &str) {
    ends(hook, name, |ports| {
        acts::simultaneous_close(ports);
        vec![end(LISTENER), end("client FIN_WAIT2 active_close"), end("server CLOSING simultaneous_close")]
    });
}
