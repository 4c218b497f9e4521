//! Each filter passes the right sockets.

use serde_json::Value;
use tcptrace_tests::{
    machine::is_root,
    net::{Family, connect, listen, pair},
    wait::eventually,
};

use crate::stage::{EVERY_STATE, Stage, every_state};

type Wanted = Box<dyn Fn(&Value) -> bool>;

/// Sockets of all families and in all states, to several ports and addresses.
fn stage() -> Stage {
    let stage = Stage::new();
    let first = stage.slot.port(0);
    stage.play(move |kept| {
        every_state(kept, |index| Family::V4.listen(first + index));
        for (index, family) in (20..).zip([Family::V6, Family::MappedServer, Family::MappedClient]) {
            let listener = listen(family.listen(first + index));
            let (client, server) = pair(&listener, family.connect(first + index));
            kept.extend([listener, client, server]);
        }
        let elsewhere = ([192, 0, 2, 77], first + 30).into();
        let listener = listen(elsewhere);
        let client = connect(elsewhere);
        kept.extend([listener, client]);
    });
    eventually("every state is there", || {
        let lines = stage.ss();
        EVERY_STATE.iter().all(|state| lines.iter().any(|line| line.state == *state))
    });
    stage
}

fn cookies(sockets: &[Value]) -> Vec<u64> {
    let mut cookies: Vec<u64> =
        sockets.iter().map(|socket| socket["cookie"].as_u64().expect("a cookie")).collect();
    cookies.sort_unstable();
    cookies
}

fn port(socket: &Value, name: &str) -> u16 {
    socket[name].as_u64().and_then(|port| port.try_into().ok()).expect("a port")
}

#[test]
fn filters() {
    if !is_root("filters") {
        return;
    }
    let stage = stage();
    let at = |index| stage.slot.port(index);
    let (p0, p2, p5) = (at(0), at(2), at(5));
    let state = |names: &'static [&'static str]| -> Wanted {
        Box::new(move |socket| names.contains(&socket["state"].as_str().expect("a state")))
    };
    let filters: Vec<(String, Wanted)> = vec![
        ("-4".to_owned(), Box::new(|socket| socket["family"] == 4)),
        ("-6".to_owned(), Box::new(|socket| socket["family"] == 6)),
        (format!("-L {p2}"), Box::new(move |socket| port(socket, "lport") == p2)),
        (format!("-L {p0}-{p5}"), Box::new(move |socket| (p0..=p5).contains(&port(socket, "lport")))),
        (format!("-D {p0},{p2}"), Box::new(move |socket| [p0, p2].contains(&port(socket, "rport")))),
        ("--local 192.0.2.77".to_owned(), Box::new(|socket| socket["laddr"] == "192.0.2.77")),
        ("--dst 192.0.2.77/32".to_owned(), Box::new(|socket| socket["raddr"] == "192.0.2.77")),
        (
            "--src 2001:db8::/32".to_owned(),
            Box::new(|socket| socket["laddr"].as_str().expect("an address").starts_with("2001:db8:")),
        ),
        ("--state LISTEN".to_owned(), state(&["LISTEN"])),
        ("--state CLOSE_WAIT,LAST_ACK".to_owned(), state(&["CLOSE_WAIT", "LAST_ACK"])),
        ("--state FIN_WAIT2".to_owned(), state(&["FIN_WAIT2"])),
        ("--state time-wait".to_owned(), state(&["TIME_WAIT"])),
        ("--state SYN_RECV".to_owned(), state(&["SYN_RECV"])),
        ("--state NEW_SYN_RECV".to_owned(), Box::new(|socket| socket["kind"] == "request")),
        (
            format!("-4 --state ESTABLISHED -D {p2}"),
            Box::new(move |socket| socket["state"] == "ESTABLISHED" && port(socket, "rport") == p2),
        ),
    ];
    let all = stage.look(&["-o", "json"]);
    assert_eq!(all.code, Some(0), "{}", all.stderr);
    for (options, wanted) in &filters {
        let mut arguments = vec!["-o", "json"];
        arguments.extend(options.split(' '));
        let run = stage.look(&arguments);
        let expected: Vec<Value> = all.sockets().into_iter().filter(|socket| wanted(socket)).collect();
        assert!(!expected.is_empty() && expected.len() < all.sockets().len(), "{options} distinguishes");
        assert_eq!(cookies(&run.sockets()), cookies(&expected), "{options}");
        let summary = run.summary();
        assert_eq!(summary["sockets"], expected.len(), "{options}");
    }
    let none = stage.look(&["-o", "json", "-L", "1"]);
    assert_eq!((none.sockets().len(), none.code), (0, Some(0)), "nothing there is no error");
    assert_eq!(none.summary()["hidden"], all.sockets().len());
}

/// The order: listeners first, then the states in the order of a connection's life; within a state by local port.
#[test]
fn order() {
    if !is_root("order") {
        return;
    }
    let stage = stage();
    let sockets = stage.look(&["-o", "json"]).sockets();
    let place = |socket: &Value| {
        let state = EVERY_STATE.iter().position(|state| socket["state"] == *state).expect("a state");
        (state, port(socket, "lport"))
    };
    let places: Vec<_> = sockets.iter().map(place).collect();
    assert!(places.is_sorted(), "{places:?}");
}
