//! Links between findings: sockets and processes by which one explains another.

use super::hash::HashSet;

/// Keys of one finding at most.
const KEYS: usize = 65_536;

/// By what findings are told to have one root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// Cookies of the sockets that it explains.
    pub explains: HashSet<u64>,
    /// Cookies of the sockets that would explain it.
    rests_on: HashSet<u64>,
    /// Of these one alone would: the listeners at the address that it is about.
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

    /// Whether it is the same process that hangs.
    pub fn is_of_process_of(&self, other: &Self) -> bool {
        self.hangs.is_some() && self.hangs == other.hangs
    }

    /// Whether another one explains it: most of what it rests on, or one that would alone.
    pub fn is_explained_by(&self, other: &Self) -> bool {
        let explained = self.rests_on.iter().filter(|cookie| other.explains.contains(cookie)).count();
        (explained > 0 && explained * 2 >= self.rests_on.len())
            || !self.rests_on_any.is_disjoint(&other.explains)
    }
}
