//! Remedies for ports that run out, as far as this host does not have them already.

use crate::model::{finding::Finding, limits::Limits};

/// Adds the steps to let the kernel reuse ports in TIME_WAIT, where it does not.
pub(super) fn reuse(finding: Finding, limits: Limits, is_loopback: bool) -> Finding {
    let finding = match limits.tw_reuse {
        Some(1) => finding,
        Some(2) if is_loopback => finding,
        Some(_) => finding.then(
            "Take ports over that wait for over a second (needs timestamps)",
            Some("sysctl -w net.ipv4.tcp_tw_reuse=1".to_owned()),
        ),
        None => finding.then(
            "See whether ports are taken over that wait for over a second",
            Some("sysctl net.ipv4.tcp_tw_reuse net.ipv4.tcp_timestamps".to_owned()),
        ),
    };
    match limits.timestamps {
        Some(0) => finding.then(
            "Switch timestamps on: without them nothing that waits is taken over",
            Some("sysctl -w net.ipv4.tcp_timestamps=1".to_owned()),
        ),
        _ => finding,
    }
}

/// The range of all ports that need no privilege.
const WIDEST: (u16, u16) = (1_024, 65_535);

/// Adds the steps to a wider range of ports, where there is one. A service that begins to listen on one of the added ports
/// may find it taken, unless the port is reserved.
pub(super) fn more_ports(finding: Finding, limits: Limits) -> Finding {
    let (first, last) = limits.ports;
    if first <= WIDEST.0 && last == WIDEST.1 {
        return finding;
    }
    finding
        .then(
            "First, for more ports: reserve those that services listen on, such as NodePorts (30000-32767)",
            Some("sysctl net.ipv4.ip_local_reserved_ports".to_owned()),
        )
        .then(
            "More ports",
            Some(format!("sysctl -w net.ipv4.ip_local_port_range='{} {}'", WIDEST.0, WIDEST.1)),
        )
}
