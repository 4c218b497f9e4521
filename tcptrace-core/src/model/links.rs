//! Links between findings: the sockets and processes by which one finding explains another.

use super::hash::HashSet;

/// Maximum number of keys of one finding.
const KEYS: usize = 65_536;

/// The keys that show whether findings have one root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// Cookies of the sockets that the finding explains.
    pub explains: HashSet<u64>,
    /// Cookies of the sockets that would explain the finding.
    rests_on: HashSet<u64>,
    /// Cookies of the sockets each of which would explain it alone: the listeners at the address that the finding is about.
    rests_on_any: HashSet<u64>,
    /// The process that does not do its work, by its id.
    hangs: Option<u32>,
}

impl Links {
    /// Notes a socket that the finding explains, by its cookie.
    pub fn explains(&mut self, cookie: u64) {
        if cookie != 0 && self.explains.len() < KEYS {
            self.explains.insert(cookie);
        }
    }

    /// Notes a socket that would explain the finding.
    pub fn rests_on(&mut self, cookie: u64) {
        if cookie != 0 && self.rests_on.len() < KEYS {
            self.rests_on.insert(cookie);
        }
    }

    /// Notes a socket that would explain the finding by itself.
    pub fn rests_on_any(&mut self, cookie: u64) {
        if cookie != 0 && self.rests_on_any.len() < KEYS {
            self.rests_on_any.insert(cookie);
        }
    }

    /// Notes the process that does not do its work, if one is known.
    pub fn hangs(&mut self, pid: Option<u32>) {
        self.hangs = pid;
    }

    /// Whether the same process hangs in both findings.
    pub fn is_of_process_of(&self, other: &Self) -> bool {
        self.hangs.is_some() && self.hangs == other.hangs
    }

    /// Whether `other` explains it: at least half of the sockets that it rests on, or one socket that would alone.
    pub fn is_explained_by(&self, other: &Self) -> bool {
        let explained = self.rests_on.iter().filter(|cookie| other.explains.contains(cookie)).count();
        (explained > 0 && explained * 2 >= self.rests_on.len())
            || !self.rests_on_any.is_disjoint(&other.explains)
    }
}
