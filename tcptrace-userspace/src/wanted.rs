//! The user's filters on what a socket is, evaluated in user space: for what no program of the kernel side filters.

use std::net::IpAddr;

use tcptrace_common::{Address, Filter, Subject};

use crate::bpf::{self, PortSet};

/// Which sockets the user wants.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// All but the ports.
    pub filter: Filter,
    /// Local ports; `None` is any.
    pub lports: Option<PortSet>,
    /// Remote ports; `None` is any.
    pub rports: Option<PortSet>,
}

impl Wanted {
    /// What a trace with these options is to report.
    pub fn of(options: &bpf::Options) -> Self {
        let bpf::Options { filter, lports, rports, .. } = options;
        Self { filter: *filter, lports: lports.clone(), rports: rports.clone() }
    }

    /// Whether a network namespace (`None` when not known), and the local and the remote end, are.
    pub fn ends_pass(
        &self,
        netns: Option<u32>,
        (laddr, lport): (IpAddr, u16),
        (raddr, rport): (IpAddr, u16),
    ) -> bool {
        let subject = Subject {
            laddr: address(laddr),
            raddr: address(raddr),
            netns: netns.unwrap_or(0),
            inet: laddr.is_ipv4(),
        };
        let port = |set: &Option<PortSet>, port| set.as_ref().is_none_or(|set| set.contains(port));
        self.filter.netns_passes(&subject)
            && self.filter.addresses_pass(&subject)
            && port(&self.lports, lport)
            && port(&self.rports, rport)
    }
}

fn address(ip: IpAddr) -> Address {
    match ip {
        IpAddr::V4(v4) => Address::from_v4(v4.octets()),
        IpAddr::V6(v6) => Address::from_v6(v6.octets()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends() {
        let wanted = |filter: Filter| Wanted { filter, lports: None, rports: None };
        let passes = |wanted: &Wanted, address: &str| {
            let address = address.parse().expect("an address");
            wanted.ends_pass(Some(7), (address, 80), (address, 40_000))
        };
        let (v4, v6) = ("192.0.2.1", "2001:db8::1");
        let family = |family| wanted(Filter { family, ..Filter::NONE });
        assert!(passes(&family(4), v4) && !passes(&family(4), v6));
        assert!(passes(&family(6), v6) && !passes(&family(6), v4));
        assert!(!passes(&wanted(Filter { netns: 8, ..Filter::NONE }), v4));
        let mut ports = PortSet::new();
        ports.insert(80..=80);
        let local = Wanted { lports: Some(ports.clone()), ..wanted(Filter::NONE) };
        let remote = Wanted { rports: Some(ports), ..wanted(Filter::NONE) };
        assert!(passes(&local, v4) && !passes(&remote, v4));
    }
}
