//! Limits among the settings of a network namespace.

/// Sysctls below `net.ipv4` unless said otherwise; where one could not be read, the kernel's default, or `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// `tcp_tw_reuse`: 0 never, 1 always, 2 on loopback.
    pub tw_reuse: Option<u64>,
    /// `tcp_timestamps`: 0 for none. Without timestamps, nothing in TIME_WAIT is reused.
    pub timestamps: Option<u64>,
    /// `tcp_abort_on_overflow`: a client whose ACK finds the accept queue full is reset.
    pub abort_on_overflow: Option<bool>,
    /// `tcp_max_orphans`.
    pub max_orphans: Option<u64>,
    /// `net.core.somaxconn`: the upper limit of the backlog of `listen()`.
    pub somaxconn: Option<u64>,
    /// `ip_local_reserved_ports`: how many of the ports for connections are left out.
    pub reserved_ports: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            ports: (32_768, 60_999),
            max_tw_buckets: 16_384,
            fin_timeout_s: 60,
            max_syn_backlog: 1_024,
            syncookies: 1,
            tw_reuse: None,
            timestamps: None,
            abort_on_overflow: None,
            max_orphans: None,
            somaxconn: None,
            reserved_ports: 0,
        }
    }
}

impl Limits {
    /// Capacity of a listener with this backlog for half-open connections. Without cookies the kernel keeps a quarter of
    /// `tcp_max_syn_backlog` for clients that it knows (`tcp_conn_request`).
    pub fn half_open_capacity(&self, backlog: u64) -> u64 {
        match self.syncookies {
            0 => backlog.min(self.max_syn_backlog - (self.max_syn_backlog >> 2)),
            _ => backlog,
        }
    }

    /// Number of connections that one address can have to one remote end.
    pub fn port_count(&self) -> u64 {
        let (first, last) = self.ports;
        (u64::from(last.saturating_sub(first)) + 1).saturating_sub(self.reserved_ports)
    }

    /// Whether the kernel reuses ports that have waited in TIME_WAIT for more than a second, towards such an address; `None`
    /// where it is not known (`tcp_twsk_unique()`).
    pub fn reuses_time_wait(&self, is_loopback: bool) -> Option<bool> {
        let reuse = self.tw_reuse?;
        Some((reuse == 1 || (reuse == 2 && is_loopback)) && self.timestamps? != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_without_cookies() {
        let limits =
            |max_syn_backlog, syncookies| Limits { max_syn_backlog, syncookies, ..Limits::default() };
        assert_eq!(limits(256, 0).half_open_capacity(4_096), 192);
        assert_eq!(limits(256, 0).half_open_capacity(100), 100);
        assert_eq!(limits(256, 1).half_open_capacity(4_096), 4_096);
    }
}
