//! The cgroup hierarchies of the host.

/// The hierarchies, by the mounts of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::commands::doctor) enum Cgroup {
    /// One hierarchy.
    V2,
    /// Several hierarchies, one of them of version 2.
    Hybrid,
    /// Version 1 only.
    V1,
}

impl Cgroup {
    /// The hierarchies in the text of `/proc/self/mounts`; `None` where there are none.
    pub(super) fn of(mounts: &str) -> Option<Self> {
        let has = |kind: &str| mounts.lines().any(|mount| mount.split(' ').nth(2) == Some(kind));
        match (has("cgroup"), has("cgroup2")) {
            (false, true) => Some(Self::V2),
            (true, true) => Some(Self::Hybrid),
            (true, false) => Some(Self::V1),
            (false, false) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies() {
        let v1 = "cgroup /sys/fs/cgroup/cpu cgroup rw,relatime,cpu 0 0\n";
        let v2 = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n";
        let other = "proc /proc proc rw 0 0\ncgroup2 /a/place tmpfs rw 0 0\n";
        assert_eq!(Cgroup::of(v2), Some(Cgroup::V2));
        assert_eq!(Cgroup::of(&[other, v1, v2].concat()), Some(Cgroup::Hybrid));
        assert_eq!(Cgroup::of(v1), Some(Cgroup::V1));
        assert_eq!(Cgroup::of(other), None);
    }
}
