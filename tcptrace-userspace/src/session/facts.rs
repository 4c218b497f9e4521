//! Facts of the host for the advice of a diagnosis: settings, counters and addresses of a network namespace, and the
//! condition of processes that connections wait for.

use std::{cmp::Reverse, collections::HashMap, fs, net::IpAddr, str::FromStr};

use nix::{ifaddrs::getifaddrs, net::if_::InterfaceFlags};
use tcptrace_core::model::{
    limits::Limits,
    namespace::{LocalAddress, NamespaceSample},
    netstat,
    process::Condition,
    scan::SocketScan,
    socket::{Kind, Socket},
    state::State,
};

use crate::{
    scan::process,
    sys::host::{sysctl, sysctl_number},
};

/// Addresses of one namespace at most.
const ADDRESSES: usize = 4_096;

/// Processes whose condition is read at one scan: those with the most waiting connections.
const PROCESSES: usize = 64;

/// Facts of the namespace that the calling thread is in, without its name.
pub(super) fn namespace_here() -> NamespaceSample {
    let netstat = fs::read_to_string("/proc/thread-self/net/netstat").unwrap_or_default();
    let snmp = fs::read_to_string("/proc/thread-self/net/snmp").unwrap_or_default();
    let counters = netstat::counters(&netstat).chain(netstat::tcp_counters(&snmp));
    NamespaceSample {
        counters: counters.map(|(name, count)| (name.to_owned(), count)).collect(),
        limits: limits(),
        name: None,
        addresses: addresses(),
        conntrack: sysctl_number("netfilter/nf_conntrack_count")
            .zip(sysctl_number("netfilter/nf_conntrack_max")),
        orphans: fs::read_to_string("/proc/thread-self/net/sockstat").ok().and_then(|text| orphans(&text)),
    }
}

fn limits() -> Limits {
    let default = Limits::default();
    let ports = sysctl("ipv4/ip_local_port_range").and_then(|text| pair(&text)).unwrap_or(default.ports);
    let reserved = sysctl("ipv4/ip_local_reserved_ports").unwrap_or_default();
    Limits {
        ports,
        max_tw_buckets: sysctl_number("ipv4/tcp_max_tw_buckets").unwrap_or(default.max_tw_buckets),
        fin_timeout_s: sysctl_number("ipv4/tcp_fin_timeout").unwrap_or(default.fin_timeout_s),
        max_syn_backlog: sysctl_number("ipv4/tcp_max_syn_backlog").unwrap_or(default.max_syn_backlog),
        syncookies: sysctl_number("ipv4/tcp_syncookies").unwrap_or(default.syncookies),
        tw_reuse: sysctl_number("ipv4/tcp_tw_reuse"),
        timestamps: sysctl_number("ipv4/tcp_timestamps"),
        abort_on_overflow: sysctl_number::<u64>("ipv4/tcp_abort_on_overflow").map(|number| number != 0),
        max_orphans: sysctl_number("ipv4/tcp_max_orphans"),
        somaxconn: sysctl_number("core/somaxconn"),
        reserved_ports: reserved_ports(&reserved, ports),
    }
}

fn pair<T: FromStr>(text: &str) -> Option<(T, T)> {
    let mut words = text.split_whitespace().map(str::parse);
    Some((words.next()?.ok()?, words.next()?.ok()?))
}

/// How many ports of a list such as `8080,9000-9010` are in the range.
fn reserved_ports(list: &str, (first, last): (u16, u16)) -> u64 {
    let range = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to): (u16, u16) = (from.parse().ok()?, to.parse().ok()?);
        Some((u64::from(to.min(last)) + 1).saturating_sub(from.max(first).into()))
    };
    list.trim().split(',').filter_map(range).sum()
}

/// `orphan` in `/proc/net/sockstat`.
fn orphans(sockstat: &str) -> Option<u64> {
    let tcp = sockstat.lines().find_map(|line| line.strip_prefix("TCP:"))?;
    let mut words = tcp.split_whitespace();
    words.find(|word| *word == "orphan")?;
    words.next()?.parse().ok()
}

fn addresses() -> Vec<LocalAddress> {
    let Ok(all) = getifaddrs() else { return Vec::new() };
    let of = |interface: nix::ifaddrs::InterfaceAddress| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        let address = v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))?;
        let running = interface.flags.contains(InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING);
        Some(LocalAddress { address, interface: interface.interface_name, running })
    };
    all.filter_map(of).take(ADDRESSES).collect()
}

/// The condition of the processes that connections wait for: to be accepted, to be read, or to be closed by either end.
pub(super) fn conditions(scan: &SocketScan) -> Vec<(u32, Condition)> {
    let mut waiting: HashMap<u32, u64> = HashMap::new();
    for socket in scan.sockets.iter().filter(|socket| waits(socket)) {
        for owner in scan.owners.of(socket) {
            *waiting.entry(owner.holder.pid).or_default() += 1;
        }
    }
    let mut pids: Vec<(u32, u64)> = waiting.into_iter().collect();
    pids.sort_unstable_by_key(|(pid, count)| (Reverse(*count), *pid));
    pids.truncate(PROCESSES);
    pids.into_iter().map(|(pid, _)| (pid, process::condition(pid))).collect()
}

fn waits(socket: &Socket) -> bool {
    let waits_for_close = [State::CLOSE_WAIT, State::FIN_WAIT2].contains(&socket.state);
    socket.kind == Kind::Full && (socket.recv_queue > 0 || waits_for_close)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_ports_within_the_range() {
        let of = |list| reserved_ports(list, (32_768, 60_999));
        assert_eq!(of("\n"), 0);
        assert_eq!(of("8080,30000-32767\n"), 0, "none of the range");
        assert_eq!(of("40000,50000-50009,60990-65535\n"), 1 + 10 + 10);
        assert_eq!(of("0-65535"), 28_232);
        assert_eq!(reserved_ports("65000-65535", (1_024, 65_535)), 536);
        assert_eq!(of("a-b,5-,9-3"), 0);
    }

    #[test]
    fn orphans_of_the_host() {
        let text = "sockets: used 9\nTCP: inuse 4 orphan 17 tw 2 alloc 5 mem 1\nUDP: inuse 0 mem 0\n";
        assert_eq!((orphans(text), orphans("UDP: orphan 3")), (Some(17), None));
    }

    #[test]
    fn loopback_is_an_address_of_every_namespace_that_is_up() {
        let here = namespace_here();
        let loopback = here.addresses.iter().filter(|address| address.address.is_loopback());
        assert!(loopback.clone().count() > 0 && loopback.clone().all(|address| address.interface == "lo"));
        assert!(here.counters.contains_key("OutRsts") && here.counters.contains_key("ListenOverflows"));
    }
}
