//! Endpoints of connections, with a namespace where the address needs one.

use super::index::is_of_one_namespace;
use crate::model::{finding::in_namespace, flow::Endpoint};

/// An endpoint that many connections share. Loopback and link-local addresses are another endpoint in each network
/// namespace. Every other address is taken as the same endpoint everywhere, as it is for the containers of one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ScopedEndpoint {
    /// The namespace of an address that is valid in one namespace only.
    netns: Option<u32>,
    pub(super) end: Endpoint,
}

impl ScopedEndpoint {
    pub(super) fn new(netns: Option<u32>, end: Endpoint) -> Self {
        Self { netns: netns.filter(|_| is_of_one_namespace(end.address)), end }
    }

    /// Whether both are valid in the same namespace only, or both in all.
    pub(super) fn is_alike(self, other: Self) -> bool {
        self.netns == other.netns
    }

    /// The subject of findings about it: the endpoint, and its namespace where that matters.
    pub(super) fn subject(self) -> String {
        in_namespace(self.netns, self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_local_addresses_are_told_apart_by_namespace() {
        for (address, is_one) in [
            ("127.0.0.1", false),
            ("169.254.1.1", false),
            ("::1", false),
            ("fe80::1", false),
            ("192.0.2.1", true),
            ("2001:db8::1", true),
        ] {
            let end = Endpoint::new(address.parse().expect("an address"), 80);
            let endpoint = |netns| ScopedEndpoint::new(Some(netns), end);
            assert_eq!(endpoint(1) == endpoint(2), is_one, "{address}");
        }
    }
}
