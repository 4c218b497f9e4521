//! The bytes and the lifetime of a connection, as `life` prints them, compared with the steps and measurements of the
//! test.

use std::{
    io::{Read as _, Write as _},
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::Value;
use tcptrace_tests::{
    close_checks::{Told, end, told},
    fixture::Fixture,
    machine::{Hook, is_root, tolerance_us},
    net::{Family, connect_error, listen, pair, read_end},
    process::output,
    tracer::{Report, Tracer},
};

use super::LISTENER;

/// Bytes that the client and the server send.
const FROM_CLIENT: usize = 300_000;
const FROM_SERVER: usize = 12_345;

/// The test's own figures of its connection.
struct Known {
    /// Bytes of the client, from `ss` before it closed.
    acked: u64,
    received: u64,
    /// The time from before `connect()` until after the end of the other side.
    around_us: u64,
    /// The time from after `connect()` until before `close()`.
    within_us: u64,
}

#[test]
fn bytes_and_times() {
    let Some((by_hook, known)) = told("bytes_and_times", |ports| {
        let listener = listen(ports.listen(Family::V4));
        let begin = Instant::now();
        let (mut client, mut server) = pair(&listener, ports.connect(Family::V4));
        let open = Instant::now();
        let sender = std::thread::scope(|scope| {
            let sender = scope.spawn(|| client.write_all(&vec![b'x'; FROM_CLIENT]));
            server.read_exact(&mut vec![0; FROM_CLIENT]).expect("all of it");
            sender.join().expect("no panic")
        });
        sender.expect("send");
        server.write_all(&[b'y'; FROM_SERVER]).expect("send");
        client.read_exact(&mut [0; FROM_SERVER]).expect("all of it");
        sleep(Duration::from_millis(100));
        let (acked, received) = by_ss(ports.port(0));
        let within_us = micros(open);
        drop(client);
        read_end(&server);
        drop(server);
        let around_us = micros(begin);
        drop(listener);
        let ends =
            vec![end(LISTENER), end("client FIN_WAIT2 active_close"), end("server LAST_ACK passive_close")];
        (ends, Known { acked, received, around_us, within_us })
    }) else {
        return;
    };
    for told in &by_hook {
        assert_as_known(told, &known);
    }
}

fn assert_as_known(told: &Told, known: &Known) {
    let of = |role: &str| told.connections.iter().find(|line| line["role"] == role).expect(role);
    let (client, server) = (of("client"), of("server"));
    // These numbers count sequence space: the SYN of the client, and each FIN that was acknowledged or had arrived.
    assert_eq!(client["bytes_acked"], FROM_CLIENT as u64 + 2, "{client}");
    // The client's socket may be gone before the server's FIN arrives.
    let received = client["bytes_received"].as_u64().expect("bytes");
    assert!((FROM_SERVER as u64..=FROM_SERVER as u64 + 1).contains(&received), "{client}");
    assert_eq!(server["bytes_acked"], FROM_SERVER as u64 + 1, "{server}");
    assert_eq!(server["bytes_received"], FROM_CLIENT as u64 + 1, "{server}");
    assert_eq!((known.acked, known.received), (FROM_CLIENT as u64 + 1, FROM_SERVER as u64), "ss agrees");
    for line in [client, server] {
        let life_us = line["life_us"].as_u64().expect("a life");
        let (least, most) = (known.within_us, known.around_us + tolerance_us());
        assert!(
            (least..=most).contains(&life_us),
            "{life_us} us are not within {least} and {most} us: {line}"
        );
        assert!(line["srtt_us"].as_u64().is_some(), "data was acknowledged: {line}");
        assert_eq!(line["owner"]["pid"], std::process::id(), "{line}");
    }
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).expect("a test's life")
}

/// Bytes acknowledged and received, of the client of the server on `port`.
fn by_ss(port: u16) -> (u64, u64) {
    let filter = ["state", "established", "dport", "=", &format!(":{port}")].map(str::to_owned);
    let output =
        output(Command::new("ss").args(["--tcp", "--info", "--numeric", "--no-header"]).args(filter));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let field = |name: &str| {
        let value = text.split_whitespace().find_map(|word| word.strip_prefix(name));
        value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {text}"))
    };
    (field("bytes_acked:"), field("bytes_received:"))
}

/// `--count` counts connections; the account reports how many were printed.
#[test]
fn text_and_count() {
    if !is_root("text_and_count") {
        return;
    }
    let world = Fixture::new();
    let netns = world.namespace.inode().to_string();
    let tracers = Hook::ALL.map(|hook| {
        let whole = Tracer::start_life(hook, &["-T", "--netns", &netns]);
        (whole, Tracer::start_life(hook, &["-o", "json", "--count", "2", "--netns", &netns]))
    });
    let ports = world.ports();
    world.namespace.run(move || {
        let listener = listen(ports.listen(Family::V4));
        let (client, server) = pair(&listener, ports.connect(Family::V4));
        drop(client);
        read_end(&server);
        drop((server, listener));
        connect_error(ports.connect(Family::V4));
    });
    world.settle(12);
    for (whole, two) in tracers {
        assert_three_ends(&whole.stop(), &two.join());
    }
}

fn assert_three_ends(whole: &Report, two: &Report) {
    assert_eq!((whole.code, two.code), (Some(0), Some(0)), "{} {}", whole.stderr, two.stderr);

    let lines: Vec<Vec<&str>> = whole.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    let [header, connections @ ..] = &lines[..] else { panic!("no header") };
    assert_eq!(header[..5], ["TIME", "OWNER", "ROLE", "LOCAL", "REMOTE"]);
    let mut told: Vec<String> =
        connections.iter().map(|line| format!("{} {}", line[2], line[10..].join(" "))).collect();
    told.sort();
    assert_eq!(
        told,
        ["client ECONNREFUSED", "client closed here first", "server peer closed first"],
        "{}",
        whole.stdout
    );
    assert!(whole.stderr.contains("\n3 connections ended and were printed\n"), "{}", whole.stderr);

    let account = two.summary();
    assert!(account.filtered >= 1, "the rest is beyond --count: {account:?}");
    let lines: Vec<Value> = two.of_type("connection");
    assert_eq!(lines.len(), 2, "{}", two.stdout);
}
