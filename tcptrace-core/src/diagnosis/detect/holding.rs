//! The owner of sockets that several processes have open: of sockets inherited across `fork()`, the first process.

use super::Seen;
use crate::model::{hash::HashMap, who::Who};

/// The processes that have sockets open, and the number of sockets of each.
#[derive(Clone, Default)]
pub(super) struct Holders(HashMap<u32, (Who, u64)>);

/// The holder that started first; the others have inherited the socket from it.
pub(super) fn first(owners: &[Who]) -> Option<&Who> {
    owners.iter().min_by_key(|who| (who.started().unwrap_or(u64::MAX), who.pid))
}

/// The limit of names in a finding.
const NAMED: usize = 8;

impl Holders {
    pub(super) fn add(&mut self, seen: &Seen) {
        for who in seen.owners.iter() {
            self.0.entry(who.pid).or_insert_with(|| (who.clone(), 0)).1 += 1;
        }
    }

    /// The holders that started first, in that order, up to the limit.
    pub(super) fn in_order(&self) -> Vec<Who> {
        let mut all: Vec<Who> = self.0.values().map(|(who, _)| who.clone()).collect();
        all.sort_by_key(|who| (who.started().unwrap_or(u64::MAX), who.pid));
        all.truncate(NAMED);
        all
    }
}
