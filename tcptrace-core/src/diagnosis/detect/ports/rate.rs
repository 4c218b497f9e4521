//! The rate at which ports are used up.

use std::time::Duration;

use crate::model::evidence::EvidenceValue;

/// The number of ports taken, with its time: at the first scan that had some, and at the last scan.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rate {
    first: Option<(u64, u64)>,
    last: Option<(u64, u64)>,
}

impl Rate {
    pub(super) fn note(&mut self, ktime_ns: u64, taken: u64) {
        self.first.get_or_insert((ktime_ns, taken));
        self.last = Some((ktime_ns, taken));
    }

    /// The number of ports taken at the last scan.
    pub(super) fn now(&self) -> u64 {
        self.last.map_or(0, |(_, taken)| taken)
    }

    /// Whether a scan was recorded.
    pub(super) fn has_begun(&self) -> bool {
        self.first.is_some()
    }

    /// Nanoseconds until all of `ports` are taken, at the same rate; `None` where the number does not grow.
    pub(super) fn ends_in_ns(&self, ports: u64) -> Option<u64> {
        let ((first_ns, first), (last_ns, last)) = (self.first?, self.last?);
        let grown = last.checked_sub(first).filter(|grown| *grown > 0)?;
        let left = u128::from(ports.saturating_sub(last));
        let elapsed = u128::from(last_ns.saturating_sub(first_ns));
        (elapsed > 0).then(|| u64::try_from(left * elapsed / u128::from(grown)).unwrap_or(u64::MAX))
    }

    /// The growth from the first scan to the last, and its duration; `None` before any scan.
    pub(super) fn growth(&self) -> Option<EvidenceValue> {
        let ((first_ns, from), (last_ns, to)) = (self.first?, self.last?);
        let within = Some(Duration::from_nanos(last_ns.saturating_sub(first_ns)));
        Some(EvidenceValue::Growth { from, to, within })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn pace(scans: &[(u64, u64)]) -> Rate {
        let mut pace = Rate::default();
        for (at_s, taken) in scans {
            pace.note(at_s * SECOND, *taken);
        }
        pace
    }

    #[test]
    fn goes_on_as_it_did() {
        let growing = pace(&[(10, 100), (15, 180), (20, 300)]);
        assert_eq!(growing.ends_in_ns(500), Some(10 * SECOND), "20 a second, and 200 are left");
        assert_eq!(growing.ends_in_ns(300), Some(0));
        let within = Some(Duration::from_secs(10));
        assert_eq!(growing.growth(), Some(EvidenceValue::Growth { from: 100, to: 300, within }));
    }

    #[test]
    fn what_does_not_grow_has_no_end() {
        let (same, fewer) = (pace(&[(10, 400), (20, 400)]), pace(&[(10, 400), (20, 390)]));
        assert_eq!((same.ends_in_ns(500), fewer.ends_in_ns(500)), (None, None));
        assert_eq!(pace(&[]).growth(), None);
        assert_eq!(pace(&[(10, 400)]).ends_in_ns(500), None, "one scan tells of no growth");
        assert_eq!(pace(&[]).ends_in_ns(500), None);
    }
}
