//! The parts that findings about a listener share.

use super::{super::hanging, listener::Listener, who_accepts::Blocker};
use crate::model::{
    evidence::EvidenceValue,
    finding::{Finding, in_namespace},
    flow::Endpoint,
    limits::Limits,
    who::Who,
};

/// A listener, and the processes that accept on it.
pub(super) struct Place<'a> {
    pub(super) listener: &'a Listener,
    pub(super) cookie: u64,
    pub(super) netns: Option<u32>,
    pub(super) address: Endpoint,
    /// Sockets at the same end: now, and during the whole watch.
    pub(super) sockets: (usize, usize),
    /// The processes that have the listener open, first the one that should accept.
    pub(super) owners: Vec<Who>,
    pub(super) blocker: Option<Blocker>,
    pub(super) limits: Option<&'a Limits>,
}

impl Place<'_> {
    /// The subject of findings. It stays the same as long as the fault lasts.
    pub(super) fn subject(&self) -> String {
        let subject = in_namespace(self.netns, self.address);
        // In the format of `ss -e`.
        if self.sockets.1 > 1 { format!("{subject}, socket sk:{:x}", self.cookie) } else { subject }
    }

    /// `192.0.2.1:80 (one of 4 sockets there)`.
    pub(super) fn address(&self) -> String {
        match self.sockets.0 {
            0 | 1 => self.address.to_string(),
            count => format!("{} (one of {count} sockets there)", self.address),
        }
    }

    pub(super) fn program(&self) -> String {
        self.owners.first().map_or_else(|| "its program".to_owned(), ToString::to_string)
    }

    /// Adds facts about the processes that accept, and the first steps for them.
    pub(super) fn about_who(&self, finding: Finding) -> Finding {
        let Some(first) = self.owners.first() else { return finding };
        let finding = match &self.owners[1..] {
            [] => finding,
            others => {
                let others: Vec<String> = others.iter().take(4).map(ToString::to_string).collect();
                finding.because("others that have this listener open", others.join(", "))
            }
        };
        let pid = first.pid;
        match self.blocker {
            Some(Blocker::Stopped) => {
                hanging::go_on(finding.because("stopped by a signal or a debugger", true), pid)
            }
            Some(Blocker::Descriptors(used, limit)) => {
                finding.because("descriptors open", EvidenceValue::part(used, limit)).then(
                    "accept() fails (EMFILE): raise LimitNOFILE= of its unit or ulimit -n, or find out what it does not close",
                    Some(format!("prlimit --nofile --pid {pid}; ls -l /proc/{pid}/fd")),
                )
            }
            None => {
                hanging::find_out(finding, "Find out what the program waits for; it is what is slow", pid)
            }
        }
    }
}
