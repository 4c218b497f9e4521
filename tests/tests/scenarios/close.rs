//! Closing in good order.

use std::{net::Shutdown, thread::sleep, time::Duration};

use tcptrace_tests::{
    acts, both_hooks,
    expect::path,
    machine::Hook,
    net::{Family, listen, pair, read_end},
    world::scenario,
};

use super::{CLIENT_FIRST, CLIENT_SECOND, LISTENER, SERVER_FIRST, SERVER_SECOND};

both_hooks!(
    client_first_v4,
    client_first_v6,
    client_first_mapped_server,
    client_first_mapped_client,
    server_first_v4,
    server_first_v6,
    server_first_mapped_server,
    server_first_mapped_client,
    half_closed,
    simultaneous_close,
);

fn client_first(hook: Hook, name: &str, family: Family) {
    scenario(hook, name, move |ports| {
        let listener = listen(ports.listen(family));
        let (client, server) = pair(&listener, ports.connect(family));
        drop(client);
        read_end(&server);
        drop((server, listener));
        vec![path(LISTENER), path(CLIENT_FIRST), path(SERVER_SECOND)]
    });
}

fn server_first(hook: Hook, name: &str, family: Family) {
    scenario(hook, name, move |ports| {
        let listener = listen(ports.listen(family));
        let (client, server) = pair(&listener, ports.connect(family));
        drop(server);
        read_end(&client);
        drop((client, listener));
        vec![path(LISTENER), path(CLIENT_SECOND), path(SERVER_FIRST)]
    });
}

fn client_first_v4(hook: Hook, name: &str) {
    client_first(hook, name, Family::V4);
}

fn client_first_v6(hook: Hook, name: &str) {
    client_first(hook, name, Family::V6);
}

fn client_first_mapped_server(hook: Hook, name: &str) {
    client_first(hook, name, Family::MappedServer);
}

fn client_first_mapped_client(hook: Hook, name: &str) {
    client_first(hook, name, Family::MappedClient);
}

fn server_first_v4(hook: Hook, name: &str) {
    server_first(hook, name, Family::V4);
}

fn server_first_v6(hook: Hook, name: &str) {
    server_first(hook, name, Family::V6);
}

fn server_first_mapped_server(hook: Hook, name: &str) {
    server_first(hook, name, Family::MappedServer);
}

fn server_first_mapped_client(hook: Hook, name: &str) {
    server_first(hook, name, Family::MappedClient);
}

/// `shutdown()` changes the state, the later `close()` does not.
fn half_closed(hook: Hook, name: &str) {
    scenario(hook, name, |ports| {
        let listener = listen(ports.listen(Family::V4));
        let (client, server) = pair(&listener, ports.connect(Family::V4));
        client.shutdown(Shutdown::Write).expect("shutdown");
        read_end(&server);
        sleep(Duration::from_millis(50));
        server.shutdown(Shutdown::Write).expect("shutdown");
        read_end(&client);
        drop((client, server, listener));
        vec![path(LISTENER), path(CLIENT_FIRST), path(SERVER_SECOND)]
    });
}

/// Each side's FIN is lost at first. The server then hears the client's, sent again, while its own is under
/// way; the client hears the server's only afterwards, together with the ACK of its own.
fn simultaneous_close(hook: Hook, name: &str) {
    scenario(hook, name, |ports| {
        acts::simultaneous_close(ports);
        vec![
            path(LISTENER),
            path(CLIENT_FIRST),
            path("LISTEN SYN_RECV ESTABLISHED FIN_WAIT1! CLOSING CLOSE/0"),
        ]
    });
}
