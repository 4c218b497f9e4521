//! Connections with the same four ends on two network devices are two connections, and each shows its device.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv6Addr, SocketAddrV6},
    path::Path,
};

use serde_json::Value;
use socket2::Socket;
use tcptrace_tests::{
    both_hooks,
    machine::{Hook, is_root},
    net::{abort, accept},
    process::tool,
    recording::{folder, replay},
    tracer::{Report, Tracer},
};

use crate::{ss, stage::Stage};

const SERVER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x51);
const CLIENT: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xc1);
const DEVICES: [&str; 2] = ["red0", "blue0"];

/// Two pairs of devices between two namespaces, with the same link-local addresses on both pairs.
fn stages() -> [Stage; 2] {
    let stages = [Stage::new(), Stage::new()];
    let path = stages[1].namespace.path().to_owned();
    stages[0].namespace.run(move || {
        for device in DEVICES {
            tool("ip", ["link", "add", device, "type", "veth", "peer", "name", device, "netns", &path]);
        }
    });
    for (stage, address) in stages.iter().zip([SERVER, CLIENT]) {
        stage.namespace.run(move || {
            for device in DEVICES {
                tool("ip", ["address", "add", &format!("{address}/64"), "dev", device, "nodad"]);
                tool("ip", ["link", "set", device, "up"]);
            }
        });
    }
    stages
}

/// The address with the index of the device in the calling thread's namespace.
fn on(address: Ipv6Addr, port: u16, device: &str) -> SocketAddrV6 {
    let index = nix::net::if_::if_nametoindex(device).expect("a device");
    SocketAddrV6::new(address, port, 0, index)
}

/// A connection on each device, with the same ends.
fn connected(connects: u16, listens: u16) -> [Socket; 2] {
    DEVICES.map(|device| {
        let from = on(CLIENT, connects, device);
        let socket = tcptrace_tests::net::socket(from.into());
        socket.bind(&from.into()).expect("bind");
        let to = on(SERVER, listens, device);
        tcptrace_tests::wait::eventually("the cable works", || socket.connect(&to.into()).is_ok());
        socket
    })
}

fn with_port(sockets: Vec<Value>, lport: u16, rport: u16) -> Vec<Value> {
    sockets.into_iter().filter(|one| one["lport"] == lport && one["rport"] == rport).collect()
}

#[test]
fn same_ends_on_two_devices() {
    if !is_root("same_ends_on_two_devices") {
        return;
    }
    let [server, client] = stages();
    let (listens, connects) = (server.slot.port(0), client.slot.port(1));
    let any = std::net::SocketAddr::from((Ipv6Addr::UNSPECIFIED, listens));
    server.play(move |kept| kept.push(tcptrace_tests::net::listen(any)));
    client.play(move |kept| kept.extend(connected(connects, listens)));
    for (stage, lport, rport) in [(&client, connects, listens), (&server, listens, connects)] {
        let found = with_port(stage.look(&["-o", "json"]).sockets(), lport, rport);
        let mut devices: Vec<&str> = found.iter().filter_map(|one| one["device"].as_str()).collect();
        devices.sort_unstable();
        assert_eq!(devices, ["blue0", "red0"], "{found:?}");
        let indices: Vec<_> = found.iter().filter_map(|one| one["ifindex"].as_u64()).collect();
        assert!(indices.len() == 2 && indices[0] != indices[1], "{found:?}");
        assert_eq!(found[0]["laddr"], found[1]["laddr"]);
        // The form is that of ss, in a column that is wide enough.
        let witnessed = stage.namespace.run(ss::raw);
        let text = stage.look(&[]).stdout;
        for device in DEVICES {
            let local = format!("[{}]%{device}:{lport}", found[0]["laddr"].as_str().expect("an address"));
            assert!(witnessed.contains(&local), "{local} in {witnessed}");
            assert_eq!(text.matches(&local).count(), 1, "{local} in {text}");
        }
        let csv = stage.look(&["-o", "csv"]).stdout;
        assert!(
            csv.lines().any(|line| line.ends_with(",red0"))
                && csv.lines().next().expect("a header").ends_with(",ifindex,device"),
            "{csv}"
        );
    }
    // A socket that is bound to no device shows none.
    let listener = with_port(server.look(&["-o", "json"]).sockets(), listens, 0).remove(0);
    assert!(listener["device"].is_null() && listener["ifindex"].is_null(), "{listener}");
}

/// Two listeners share an address and port, each on one device. Each has the connections of its device.
#[test]
fn listeners_on_a_device() {
    if !is_root("listeners_on_a_device") {
        return;
    }
    let stage = Stage::new();
    let address = tcptrace_tests::net::Family::V4.listen(stage.slot.port(0));
    stage.play(move |kept| {
        tool("ip", ["link", "add", "spare0", "type", "veth", "peer", "name", "spare1"]);
        let listener = |device: &str| {
            let socket = tcptrace_tests::net::socket(address);
            socket.bind_device(Some(device.as_bytes())).expect("SO_BINDTODEVICE");
            socket.bind(&address.into()).expect("bind");
            socket.listen(16).expect("listen");
            socket
        };
        let (on_lo, elsewhere) = (listener("lo"), listener("spare0"));
        let client = tcptrace_tests::net::connect(address);
        let server = accept(&on_lo);
        let waits = tcptrace_tests::net::connect(address);
        kept.extend([on_lo, elsewhere, client, server, waits]);
    });
    let port = address.port().to_string();
    let sockets = stage.look(&["-o", "json", "-L", &port]).sockets();
    let waits = sockets.iter().find(|one| one["state"] == "ESTABLISHED" && one["inode"].is_null());
    let waits = waits.unwrap_or_else(|| panic!("a child: {sockets:?}"));
    let pids: Vec<_> =
        waits["owners"].as_array().expect("a list").iter().map(|one| one["pid"].clone()).collect();
    assert_eq!((pids, &waits["device"]), (vec![Value::from(std::process::id())], &"lo".into()), "{waits}");
    let groups = stage.look(&["-o", "json", "--by", "listener", "-L", &port]).of_type("sockets_group");
    let keys: Vec<_> = groups.iter().map(|group| (group["key"].as_str(), group["total"].as_u64())).collect();
    let ip = address.ip();
    let (on_lo, elsewhere) = (format!("{ip}%lo:{port}"), format!("{ip}%spare0:{port}"));
    assert_eq!(keys.len(), 2, "{keys:?}");
    assert!(
        keys.contains(&(Some(&on_lo), Some(3))) && keys.contains(&(Some(&elsewhere), Some(1))),
        "{keys:?}"
    );
}

both_hooks!(a_trace_shows_the_device);

/// Devices in tcptrace's own namespace have names, others have numbers. The replay, which is checked here, shows the
/// same.
fn a_trace_shows_the_device(hook: Hook, name: &str) {
    if !is_root(name) {
        return;
    }
    let [server, client] = stages();
    let (listens, connects) = (server.slot.port(0), client.slot.port(1));
    let any = std::net::SocketAddr::from((Ipv6Addr::UNSPECIFIED, listens));
    server.play(move |kept| kept.push(tcptrace_tests::net::listen(any)));
    let (_folder, file) = folder();
    let capture = file.to_str().expect("UTF-8").to_owned();
    let indices = client.namespace.run(move || {
        let tracer = Tracer::start(hook, &["-o", "json", "--write", &capture]);
        connected(connects, listens).into_iter().for_each(abort);
        let report = tracer.stop();
        assert!(matches!(report.code, Some(0 | 4)), "{}", report.stderr);
        DEVICES.map(|device| u64::from(nix::net::if_::if_nametoindex(device).expect("a device")))
    });
    let there = server
        .namespace
        .run(|| DEVICES.map(|device| u64::from(nix::net::if_::if_nametoindex(device).expect("a device"))));
    for (command, kind) in [("trace", "transition"), ("life", "connection")] {
        let told = replay(command, &file, &["-o", "json"]);
        let here = devices(&told, kind, (connects, listens));
        let expected = DEVICES.iter().zip(indices).map(|(name, index)| (Some((*name).to_owned()), index));
        assert_eq!(here, expected.collect(), "{}", told.stdout);
        let unnamed = devices(&told, kind, (listens, connects));
        assert_eq!(unnamed, there.iter().map(|index| (None, *index)).collect(), "{}", told.stdout);
        in_columns(command, &file, connects);
    }
}

/// Name and index of the device of each connection with these ports. The device never changes while the connection has
/// both ends.
fn devices(report: &Report, kind: &str, (lport, rport): (u16, u16)) -> BTreeSet<(Option<String>, u64)> {
    let mut by_cookie: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for line in report.of_type(kind) {
        // A new child is reported before it has its device.
        if (&line["lport"], &line["rport"]) == (&lport.into(), &rport.into()) && line["old_state"] != "LISTEN"
        {
            let name = line["device"].as_str().map(str::to_owned);
            let (ifindex, cookie) = (line["ifindex"].as_u64().unwrap_or(0), line["cookie"].as_u64());
            // Without a helper the tracepoint hook has a cookie only if another program has requested it.
            let key = cookie.filter(|cookie| *cookie != 0).ok_or(ifindex);
            by_cookie.entry(key).or_default().insert((name, ifindex));
        }
    }
    assert!(by_cookie.values().all(|devices| devices.len() == 1), "{by_cookie:?}");
    by_cookie.into_values().flatten().collect()
}

/// Text has the form of `ss`; CSV has separate columns.
fn in_columns(command: &str, file: &Path, lport: u16) {
    let text = replay(command, file, &[]).stdout;
    let csv = replay(command, file, &["-o", "csv"]).stdout;
    assert!(csv.lines().next().expect("a header").ends_with(",ifindex,device"), "{csv}");
    for device in DEVICES {
        let local = format!("[{CLIENT}]%{device}:{lport} ");
        assert!(text.contains(&local), "{local} in {text}");
        assert!(csv.lines().any(|line| line.ends_with(&format!(",{device}"))), "{csv}");
    }
}
