//! Closing by FIN.

use std::{net::Shutdown, thread::sleep, time::Duration};

use tcptrace_tests::{
    expect::path,
    fixture::scenario,
    net::{Family, listen, pair, read_end},
    steps,
};

use super::{CLIENT_FIRST, CLIENT_SECOND, LISTENER, SERVER_FIRST, SERVER_SECOND};

fn client_first(name: &str, family: Family) {
    scenario(name, move |ports| {
        let listener = listen(ports.listen(family));
        let (client, server) = pair(&listener, ports.connect(family));
        drop(client);
        read_end(&server);
        drop((server, listener));
        vec![path(LISTENER), path(CLIENT_FIRST), path(SERVER_SECOND)]
    });
}

fn server_first(name: &str, family: Family) {
    scenario(name, move |ports| {
        let listener = listen(ports.listen(family));
        let (client, server) = pair(&listener, ports.connect(family));
        drop(server);
        read_end(&client);
        drop((client, listener));
        vec![path(LISTENER), path(CLIENT_SECOND), path(SERVER_FIRST)]
    });
}

#[test]
fn client_first_v4() {
    client_first("client_first_v4", Family::V4);
}

#[test]
fn client_first_v6() {
    client_first("client_first_v6", Family::V6);
}

#[test]
fn client_first_mapped_server() {
    client_first("client_first_mapped_server", Family::MappedServer);
}

#[test]
fn client_first_mapped_client() {
    client_first("client_first_mapped_client", Family::MappedClient);
}

#[test]
fn server_first_v4() {
    server_first("server_first_v4", Family::V4);
}

#[test]
fn server_first_v6() {
    server_first("server_first_v6", Family::V6);
}

#[test]
fn server_first_mapped_server() {
    server_first("server_first_mapped_server", Family::MappedServer);
}

#[test]
fn server_first_mapped_client() {
    server_first("server_first_mapped_client", Family::MappedClient);
}

/// `shutdown()` changes the state, the later `close()` does not.
#[test]
fn half_closed() {
    scenario("half_closed", |ports| {
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

/// The first FIN of each side is lost. The server then receives the client's second FIN while its own is in flight. The
/// client receives the server's only afterwards, together with the ACK of its own.
#[test]
fn simultaneous_close() {
    scenario("simultaneous_close", |ports| {
        steps::simultaneous_close(ports);
        vec![
            path(LISTENER),
            path(CLIENT_FIRST),
            path("LISTEN SYN_RECV ESTABLISHED FIN_WAIT1! CLOSING CLOSE/0"),
        ]
    });
}
