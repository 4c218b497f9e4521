//! A transition, from tcptrace or from tracefs.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
};

use serde::Deserialize;
use serde_json::Value;

/// A state transition of a TCP socket, as tcptrace or tracefs reported it.
#[derive(Clone, Debug, Deserialize)]
pub struct Transition {
    /// Nanoseconds of `CLOCK_MONOTONIC`; tracefs gives whole microseconds.
    pub ktime_ns: u64,
    /// Local and remote ends.
    #[serde(flatten)]
    pub tuple: Tuple,
    /// State before, without `TCP_`.
    #[serde(rename = "old_state")]
    pub old: String,
    /// State after.
    #[serde(rename = "new_state")]
    pub new: String,
    /// The whole JSON object, if tcptrace reported it.
    #[serde(skip)]
    pub json: Value,
}

/// Two ends of a connection; IPv4-mapped addresses as IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub struct Tuple {
    /// Local address.
    pub laddr: IpAddr,
    /// Local port, 0 until it is chosen.
    pub lport: u16,
    /// Remote address.
    pub raddr: IpAddr,
    /// Remote port.
    pub rport: u16,
}

impl Transition {
    /// Whether one of the ports is in `ports`.
    pub fn has_port_in(&self, ports: &std::ops::RangeInclusive<u16>) -> bool {
        ports.contains(&self.tuple.lport) || ports.contains(&self.tuple.rport)
    }
}

impl Tuple {
    /// The same ends with IPv4-mapped addresses as IPv4, and `::` of a connection over IPv4 as `0.0.0.0`.
    #[must_use]
    pub fn canonical(mut self) -> Self {
        self.laddr = self.laddr.to_canonical();
        self.raddr = self.raddr.to_canonical();
        if self.raddr.is_ipv4() && self.laddr.is_ipv6() && self.laddr.is_unspecified() {
            self.laddr = Ipv4Addr::UNSPECIFIED.into();
        }
        self
    }
}

impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tuple { laddr, lport, raddr, rport } = self.tuple;
        write!(
            f,
            "{:.6} {laddr} {lport} > {raddr} {rport}: {} -> {}",
            std::time::Duration::from_nanos(self.ktime_ns).as_secs_f64(),
            self.old,
            self.new
        )
    }
}

/// One transition in each line, for messages of failed tests.
pub fn listing(transitions: &[Transition]) -> String {
    let lines: Vec<_> = transitions.iter().map(|transition| format!("  {transition}")).collect();
    lines.join("\n") + "\n"
}
