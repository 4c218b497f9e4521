//! Settings of a network namespace that say how much is too much.

/// Sysctls below `net.ipv4`; where one could not be read, the kernel's default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Limits {
    /// `ip_local_port_range`: the ports for connections of this host, first and last.
    pub ports: (u16, u16),
    /// `tcp_max_tw_buckets`.
    pub max_tw_buckets: u64,
    /// `tcp_fin_timeout` in seconds.
    pub fin_timeout_s: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { ports: (32_768, 60_999), max_tw_buckets: 16_384, fin_timeout_s: 60 }
    }
}

impl Limits {
    /// How many connections there can be to one remote end from one address.
    pub fn port_count(&self) -> u64 {
        let (first, last) = self.ports;
        u64::from(last.saturating_sub(first)) + 1
    }
}
