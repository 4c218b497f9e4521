//! The finding about a process that tries very many destinations.

use std::net::IpAddr;

use super::processes::Process;
use crate::{
    diagnosis::detect::{culprits::many, rank::Rank},
    model::finding::{Confidence, Finding, Harm, Peer, Severity},
};

pub(super) fn scan(scanner: &Process) -> Finding {
    let Process { who, destinations, waiting, .. } = scanner;
    let total = scanner.total();
    let (connected, failed) = (total.connected, total.failed());
    let (mut addresses, mut ports): (Rank<IpAddr>, Rank<u16>) = Default::default();
    for destination in destinations.keys() {
        addresses.add(destination.end.address);
        ports.add(destination.end.port);
    }
    let of_ports = ports.distinct() > addresses.distinct();
    let many_what = if of_ports {
        format!("{} of {}", many(ports.distinct(), "port"), many(addresses.distinct(), "host"))
    } else {
        format!("{} on {}", many(addresses.distinct(), "host"), many(ports.distinct(), "port"))
    };
    let summary = format!(
        "{who} tries {many_what}, and {} of {} attempts fail",
        failed + waiting,
        failed + waiting + connected
    );
    let confidence = Confidence::medium("what the program is for");
    let finding = Finding::new("outbound-scan", confidence, summary);
    let finding = if is_retried(scanner, of_ports) {
        finding
    } else {
        // The harm is to the hosts that are tried. This host is harmed only if the scan is not intended.
        let whom = if of_ports { "the hosts with these ports" } else { "the hosts that it tries" };
        finding.harms(Severity::Warning, Harm::new(scanner.never_connected(), "destinations probed", whom))
    };
    let finding = finding
        .about(format!("process {}", who.pid))
        .because("different destinations", destinations.len())
        .because("of these never connected", scanner.never_connected())
        .because("hosts", addresses.distinct())
        .because("ports", ports.distinct())
        .because("failed", failed)
        .because("without an answer so far", *waiting)
        .because("connected", connected)
        .then(
            "Find out what it is, and who started it",
            Some(format!("ls -l /proc/{0}/exe; ps -o pid,ppid,user,lstart,args {0}", who.pid)),
        )
        .then("Stop it, and keep it for examination", Some(format!("kill -STOP {}", who.pid)))
        .not("a service that is gone, which is few destinations again and again");
    let peers = addresses.top(5).into_iter().map(|(address, count)| Peer { address, port: None, count });
    Finding { owners: vec![who.clone()], peers: peers.collect(), ..finding }
}

/// Attempts per destination from which they are retries and not probes.
const AGAIN: u64 = 3;

/// Whether the process tries the same hosts again and again, as a client with an outdated list of servers does. A scan has
/// its answer after one attempt.
fn is_retried(scanner: &Process, of_ports: bool) -> bool {
    let total = scanner.total();
    !of_ports && total.failed() >= AGAIN.saturating_mul(scanner.never_connected())
}
