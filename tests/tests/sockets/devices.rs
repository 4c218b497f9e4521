//! Connections with the same four ends on two network devices are two, and each shows its own.

use std::net::{Ipv6Addr, SocketAddrV6};

use serde_json::Value;
use tcptrace_tests::{machine::is_root, net::accept, process::tool};

use crate::{ss, stage::Stage};

const SERVER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x51);
const CLIENT: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xc1);
const DEVICES: [&str; 2] = ["red0", "blue0"];

/// Two cables between two namespaces, with the same link-local addresses on both.
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

/// By the index of the device in the calling thread's namespace.
fn on(address: Ipv6Addr, port: u16, device: &str) -> SocketAddrV6 {
    let index = nix::net::if_::if_nametoindex(device).expect("a device");
    SocketAddrV6::new(address, port, 0, index)
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
    client.play(move |kept| {
        for device in DEVICES {
            let from = on(CLIENT, connects, device);
            let socket = tcptrace_tests::net::socket(from.into());
            socket.bind(&from.into()).expect("bind");
            let to = on(SERVER, listens, device);
            tcptrace_tests::wait::eventually("the cable works", || socket.connect(&to.into()).is_ok());
            kept.push(socket);
        }
    });
    for (stage, lport, rport) in [(&client, connects, listens), (&server, listens, connects)] {
        let found = with_port(stage.look(&["-o", "json"]).sockets(), lport, rport);
        let mut devices: Vec<&str> = found.iter().filter_map(|one| one["device"].as_str()).collect();
        devices.sort_unstable();
        assert_eq!(devices, ["blue0", "red0"], "{found:?}");
        let indices: Vec<_> = found.iter().filter_map(|one| one["ifindex"].as_u64()).collect();
        assert!(indices.len() == 2 && indices[0] != indices[1], "{found:?}");
        assert_eq!(found[0]["laddr"], found[1]["laddr"]);
        // As ss has it, in a column that fits.
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
    // What is bound to none shows none.
    let listener = with_port(server.look(&["-o", "json"]).sockets(), listens, 0).remove(0);
    assert!(listener["device"].is_null() && listener["ifindex"].is_null(), "{listener}");
}

/// Of two listeners with one address and port, each on a device, the one has the connections of its device.
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
