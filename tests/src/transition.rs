//! A transition, whoever reported it.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
};

use serde_json::Value;

/// A state transition of a TCP socket as tcptrace or tracefs told it.
#[derive(Clone, Debug)]
pub struct Transition {
    /// Nanoseconds of `CLOCK_MONOTONIC`; tracefs gives whole microseconds.
    pub ktime_ns: u64,
    /// Local and remote ends.
    pub tuple: Tuple,
    /// State before, without `TCP_`.
    pub old: String,
    /// State after.
    pub new: String,
    /// The whole JSON object, where tcptrace told it.
    pub json: Value,
}

/// Two ends of a connection; IPv4-mapped addresses as IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tuple {
    /// Local address.
    pub laddr: IpAddr,
    /// Local port, 0 while it is not chosen.
    pub lport: u16,
    /// Remote address.
    pub raddr: IpAddr,
    /// Remote port.
    pub rport: u16,
}

impl Transition {
    /// Reads a JSON line of type `transition`.
    pub fn from_json(json: &Value) -> Self {
        let text = |name: &str| json[name].as_str().unwrap_or_else(|| panic!("no {name} in {json}")).to_owned();
        let number = |name: &str| json[name].as_u64().unwrap_or_else(|| panic!("no {name} in {json}"));
        let port = |name: &str| u16::try_from(number(name)).expect("a port");
        let address = |name: &str| text(name).parse::<IpAddr>().expect("an address");
        let tuple = Tuple {
            laddr: address("laddr"),
            lport: port("lport"),
            raddr: address("raddr"),
            rport: port("rport"),
        };
        assert_eq!(tuple, tuple.canonical(), "tcptrace shows IPv4-mapped addresses as IPv4");
        Self { ktime_ns: number("ktime_ns"), tuple, old: text("old_state"), new: text("new_state"), json: json.clone() }
    }

    /// Whether one of the ports is in `ports`.
    pub fn has_port_in(&self, ports: &std::ops::RangeInclusive<u16>) -> bool {
        ports.contains(&self.tuple.lport) || ports.contains(&self.tuple.rport)
    }
}

impl Tuple {
    /// With IPv4-mapped addresses as IPv4, and `::` of a connection over IPv4 as `0.0.0.0`.
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

/// One a line, for messages of failed tests.
pub fn listing(transitions: &[Transition]) -> String {
    transitions.iter().map(|transition| format!("  {transition}\n")).collect()
}
