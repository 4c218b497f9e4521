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
    /// `tcp_max_syn_backlog`.
    pub max_syn_backlog: u64,
    /// `tcp_syncookies`: 0 never, 1 when a queue is full, 2 always.
    pub syncookies: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            ports: (32_768, 60_999),
            max_tw_buckets: 16_384,
            fin_timeout_s: 60,
            max_syn_backlog: 1_024,
            syncookies: 1,
        }
    }
}

impl Limits {
    /// How many half-open connections a listener with this backlog has room for. Without cookies the kernel keeps a quarter
    /// of `tcp_max_syn_backlog` for clients that it knows (`tcp_conn_request`).
    pub fn half_open_room(&self, backlog: u64) -> u64 {
        match self.syncookies {
            0 => backlog.min(self.max_syn_backlog - (self.max_syn_backlog >> 2)),
            _ => backlog,
        }
    }

    /// How many connections there can be to one remote end from one address.
    pub fn port_count(&self) -> u64 {
        let (first, last) = self.ports;
        u64::from(last.saturating_sub(first)) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_without_cookies() {
        let limits =
            |max_syn_backlog, syncookies| Limits { max_syn_backlog, syncookies, ..Limits::default() };
        assert_eq!(limits(256, 0).half_open_room(4_096), 192);
        assert_eq!(limits(256, 0).half_open_room(100), 100);
        assert_eq!(limits(256, 1).half_open_room(4_096), 4_096);
    }
}
