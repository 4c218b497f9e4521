//! The bytes of open and half-closed connections are the bytes that the programs wrote and read; a connection without
//! data has no age of its data.

use std::{
    io::Read as _,
    net::Shutdown,
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::Value;
use socket2::Socket;
use tcptrace_tests::{
    machine::is_root,
    net::{Family, connect, listen, pair, read_end, socket},
    wait::eventually,
};

use crate::stage::Stage;

fn write(from: &Socket, mut to: &Socket, bytes: usize) {
    assert_eq!(from.send(&vec![7; bytes]).expect("send"), bytes, "it fits");
    to.read_exact(&mut vec![0; bytes]).expect("all of it");
}

/// State, bytes sent and received of the socket between two ports, once all data is acknowledged.
fn figures(stage: &Stage, lport: u16, state: &str) -> (Value, Value) {
    let mut found = None;
    eventually("everything is acknowledged", || {
        let sockets = stage.look(&["-o", "json", "--state", state]).sockets();
        let is_it = |socket: &&Value| socket["lport"] == lport && !socket["info"].is_null();
        found = sockets.iter().find(is_it).map(|socket| socket["info"].clone());
        found.as_ref().is_some_and(|info| info["unacked"] == 0)
    });
    let info = found.expect("found above");
    (info["tx_bytes"].clone(), info["rx_bytes"].clone())
}

#[test]
fn bytes_of_programs() {
    if !is_root("bytes_of_programs") {
        return;
    }
    let stage = Stage::new();
    let [open, by_client, by_server] = [0, 2, 4].map(|index| stage.slot.port(index));
    stage.play(move |kept| {
        for server_port in [open, by_client, by_server] {
            let address = Family::V4.listen(server_port);
            let listener = listen(address);
            let client = socket(address);
            client.bind(&Family::V4.connect(server_port + 1).into()).expect("bind");
            client.connect(&address.into()).expect("connect");
            let server = tcptrace_tests::net::accept(&listener);
            write(&client, &server, 1_000);
            write(&server, &client, 300);
            let closed = |first: &Socket, last: &Socket| {
                first.shutdown(Shutdown::Write).expect("shutdown");
                read_end(last);
                // The other half is still open.
                write(last, first, 50);
            };
            match server_port {
                port if port == by_client => closed(&client, &server),
                port if port == by_server => closed(&server, &client),
                _ => {}
            }
            kept.extend([listener, client, server]);
        }
    });
    let told = |port, state| figures(&stage, port, state);
    let bytes = |sent: u64, received: u64| (Value::from(sent), Value::from(received));
    assert_eq!(told(open + 1, "ESTABLISHED"), bytes(1_000, 300), "the client");
    assert_eq!(told(open, "ESTABLISHED"), bytes(300, 1_000), "the server");
    assert_eq!(told(by_client + 1, "FIN_WAIT2"), bytes(1_000, 350));
    assert_eq!(told(by_client, "CLOSE_WAIT"), bytes(350, 1_000));
    assert_eq!(told(by_server + 1, "CLOSE_WAIT"), bytes(1_050, 300));
    assert_eq!(told(by_server, "FIN_WAIT2"), bytes(300, 1_050));
    let wide = stage.look(&["-o", "wide", "--state", "FIN_WAIT2"]).stdout;
    assert!(wide.contains(" tx=1000 rx=350 ") && wide.contains(" tx=300 rx=1050 "), "{wide}");
    let raw = stage.look(&["-o", "json", "--state", "FIN_WAIT2", "-L", &(by_client + 1).to_string()]);
    let info = raw.sockets()[0]["info"].clone();
    assert_eq!((&info["bytes_acked"], &info["bytes_received"]), (&1_002.into(), &350.into()), "SYN and FIN");
}

/// While data is in flight, an unacknowledged byte may be the place of a FIN or a SYN: the value is marked as unknown,
/// not guessed.
#[test]
fn what_is_on_its_way_is_not_guessed() {
    if !is_root("what_is_on_its_way_is_not_guessed") {
        return;
    }
    let stage = Stage::new();
    let address = Family::V4.listen(stage.slot.port(0));
    stage.play(move |kept| {
        let listener = listen(address);
        let (client, server) = pair(&listener, address);
        write(&client, &server, 10);
        sleep(Duration::from_millis(60));
        tcptrace_tests::net::deafen(&server);
        client.send(b"unheard").expect("send");
        kept.extend([listener, client, server]);
    });
    let run =
        |format| stage.look(&["-o", format, "--state", "ESTABLISHED", "-D", &address.port().to_string()]);
    let info = run("json").sockets().pop().expect("the client")["info"].clone();
    assert_eq!((&info["tx_bytes"], &info["bytes_acked"]), (&Value::Null, &11.into()), "{info}");
    let wide = run("wide").stdout;
    assert!(wide.contains(" tx=~11 "), "{wide}");
}

/// A socket that connected to itself has no time of its last data: the kernel gives its own clock.
#[test]
fn what_never_was_has_no_age() {
    if !is_root("what_never_was_has_no_age") {
        return;
    }
    let stage = Stage::new();
    let (own, ordinary) = (stage.slot.port(0), stage.slot.port(1));
    let begun = Instant::now();
    stage.play(move |kept| {
        let address = Family::V4.connect(own);
        let itself = socket(address);
        itself.bind(&address.into()).expect("bind");
        itself.connect(&address.into()).expect("to itself");
        let listener = listen(Family::V4.listen(ordinary));
        kept.extend([itself, connect(Family::V4.connect(ordinary)), listener]);
    });
    sleep(Duration::from_millis(200));
    let sockets = stage.look(&["-o", "json", "--state", "ESTABLISHED"]).sockets();
    let real_us = u64::try_from(begun.elapsed().as_micros()).expect("a test's life");
    let of = |port: u16| sockets.iter().find(|socket| socket["lport"] == port).expect("it is there");
    let itself = of(own);
    assert!(itself["info"]["last_data_recv_ms"].is_null(), "no data has come: {itself}");
    let ordinary = of(ordinary);
    for field in ["last_data_sent_ms", "last_data_recv_ms", "last_ack_recv_ms"] {
        assert!(ordinary["info"][field].as_u64() <= Some(real_us / 1_000), "{field}: {ordinary}");
        assert!(!ordinary["info"][field].is_null(), "since it was made: {ordinary}");
    }
    for socket in [itself, ordinary] {
        let age_us = socket["age_at_least_us"].as_u64().expect("an age");
        assert!((150_000..=real_us).contains(&age_us), "{socket}");
    }
}
