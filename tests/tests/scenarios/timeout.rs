//! Waiting in vain.

use std::time::Duration;

use nix::errno::Errno;
use socket2::TcpKeepalive;
use tcptrace_tests::{
    both_hooks,
    expect::path,
    machine::Hook,
    net::{Family, connect_error, deafen, hear, listen, pair, read_error},
    netns::sysctl,
    process::tool,
    world::scenario,
};

use super::LISTENER;

both_hooks!(connect_timeout, host_unreachable, keepalive_timeout, user_timeout);

/// The listener hears no SYN: one retry, three seconds.
fn connect_timeout(hook: Hook, name: &str) {
    scenario(hook, name, |ports| {
        sysctl("net/ipv4/tcp_syn_retries", "1");
        let listener = listen(ports.listen(Family::V4));
        deafen(&listener);
        assert_eq!(connect_error(ports.connect(Family::V4)), Errno::ETIMEDOUT as i32);
        drop(listener);
        vec![path(LISTENER), path("CLOSE SYN_SENT! CLOSE/110")]
    });
}

/// Nobody on the link has the address.
fn host_unreachable(hook: Hook, name: &str) {
    scenario(hook, name, |ports| {
        tool("ip", ["link", "add", "veth0", "type", "veth", "peer", "name", "veth1"]);
        tool("ip", ["address", "add", "198.51.100.1/24", "dev", "veth0"]);
        tool("ip", ["link", "set", "veth1", "up"]);
        tool("ip", ["link", "set", "veth0", "up"]);
        sysctl("net/ipv4/neigh/veth0/mcast_solicit", "1");
        sysctl("net/ipv4/neigh/veth0/retrans_time_ms", "100");
        let nobody = ([198, 51, 100, 2], ports.port(0)).into();
        assert_eq!(connect_error(nobody), Errno::EHOSTUNREACH as i32);
        vec![path("CLOSE SYN_SENT! CLOSE/113")]
    });
}

/// The server falls silent; the client's probes find out. The server learns when it closes.
fn keepalive_timeout(hook: Hook, name: &str) {
    scenario(hook, name, |ports| {
        let listener = listen(ports.listen(Family::V4));
        let (client, server) = pair(&listener, ports.connect(Family::V4));
        deafen(&server);
        let second = Duration::from_secs(1);
        let probes = TcpKeepalive::new().with_time(second).with_interval(second).with_retries(1);
        client.set_tcp_keepalive(&probes).expect("SO_KEEPALIVE");
        assert_eq!(read_error(&client), Errno::ETIMEDOUT as i32);
        hear(&server);
        drop((server, client, listener));
        vec![
            path(LISTENER),
            path("CLOSE SYN_SENT! ESTABLISHED CLOSE/110"),
            path("LISTEN SYN_RECV ESTABLISHED FIN_WAIT1! CLOSE/104"),
        ]
    });
}

/// The client's data is never acknowledged.
fn user_timeout(hook: Hook, name: &str) {
    scenario(hook, name, |ports| {
        let listener = listen(ports.listen(Family::V4));
        let (client, server) = pair(&listener, ports.connect(Family::V4));
        deafen(&server);
        client.set_tcp_user_timeout(Some(Duration::from_millis(500))).expect("TCP_USER_TIMEOUT");
        client.send(b"x").expect("send");
        assert_eq!(read_error(&client), Errno::ETIMEDOUT as i32);
        hear(&server);
        drop((server, client, listener));
        vec![
            path(LISTENER),
            path("CLOSE SYN_SENT! ESTABLISHED CLOSE/110"),
            path("LISTEN SYN_RECV ESTABLISHED FIN_WAIT1! CLOSE/104"),
        ]
    });
}
