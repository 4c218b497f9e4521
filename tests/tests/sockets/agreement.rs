//! The comparison of tcptrace with ss.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::ss;

/// Asserts that both name the same sockets with the same values.
pub(crate) fn assert_agree(told: &[Value], witnessed: &[ss::Line]) {
    let told: BTreeMap<u64, Value> = told
        .iter()
        // ss of this version does not request sockets that are only bound.
        .filter(|socket| socket["state"] != "CLOSE")
        .map(|socket| (socket["cookie"].as_u64().expect("a cookie"), common(socket)))
        .collect();
    let witnessed: BTreeMap<u64, Value> = witnessed.iter().map(|line| (line.cookie, of_ss(line))).collect();
    let list = |all: &BTreeMap<u64, Value>| {
        all.iter().map(|(cookie, value)| format!("{cookie}: {value}")).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(list(&told), list(&witnessed), "tcptrace on the left, ss on the right");
}

/// The fields of a socket that both have.
fn common(socket: &Value) -> Value {
    let timer = &socket["timer"];
    json!({
        "state": socket["state"],
        "local": [socket["laddr"], socket["lport"]],
        "remote": [socket["raddr"], socket["rport"]],
        "queues": [socket["recv_queue"], socket["send_queue"]],
        "inode": socket["inode"].as_u64().unwrap_or(0),
        "uid": socket["uid"].as_u64().unwrap_or(0),
        "timer": timer["kind"],
        "retransmits": timer["retransmits"],
    })
}

fn of_ss(line: &ss::Line) -> Value {
    json!({
        "state": line.state,
        "local": [line.local.0, line.local.1],
        "remote": [line.remote.0, line.remote.1],
        "queues": [line.recv_queue, line.send_queue],
        "inode": line.inode,
        "uid": line.uid,
        "timer": line.timer.as_ref().map(|timer| &timer.0),
        "retransmits": line.timer.as_ref().map(|timer| timer.1),
    })
}
