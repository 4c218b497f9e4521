//! The comparisons of a situation, and their failures.

use std::fmt::Display;

use serde_json::Value;

use super::{
    ended::Ended,
    watch::{Diagnosis, owner},
};

/// All comparisons of a situation. They continue after one that fails.
#[derive(Debug, Default)]
pub struct Checks {
    hidden: u64,
    compared: Vec<String>,
    failed: Vec<String>,
}

impl Checks {
    /// Checks of these connections. Where the kernel has hidden transitions, of any namespace, that many connections
    /// may be missing.
    pub fn of(ended: &Ended) -> Self {
        Self { hidden: ended.hidden, ..Self::default() }
    }

    /// Notes whether a condition holds.
    pub fn that(&mut self, what: impl Into<String>, holds: bool, why: impl Display) {
        let what = what.into();
        if !holds {
            self.failed.push(format!("{what}: {why}"));
        }
        self.compared.push(what);
    }

    /// Checks that tcptrace counts as many as the daemon.
    pub fn equal(&mut self, what: &str, tcptrace: u64, daemon: u64) {
        let holds = (daemon.saturating_sub(self.hidden)..=daemon).contains(&tcptrace);
        let shown = match daemon - tcptrace.min(daemon) {
            0 => format!("{what} {daemon}"),
            missing => format!("{what} {daemon} ({missing} of them where the kernel runs no tracer)"),
        };
        self.that(shown, holds, format!("tcptrace has {tcptrace}, and {} were hidden", self.hidden));
    }

    /// Checks that tcptrace counts this many or more; some may be hidden as in [`Self::equal`].
    pub fn at_least(&mut self, what: &str, tcptrace: u64, least: u64, why: impl Display) {
        let holds = tcptrace + self.hidden >= least;
        self.that(what, holds, format!("{why}; {} were hidden", self.hidden));
    }

    /// Checks that all connections have an owner with this name. A connection without an owner is allowed if the peer
    /// reset it before the process acted on it, for example before it was accepted.
    pub fn owned_by(&mut self, what: &str, ended: &Ended, comm: &str) {
        let is_nobodys = |line: &Value| line["owner"].is_null() && line["cause"] == "reset_by_peer";
        let others = ended.with(|line| line["owner"]["comm"] != comm && !is_nobodys(line));
        let whose = others.tally(|line| line["owner"]["comm"].as_str().unwrap_or("nobody"));
        let example = others.lines.first().map_or(String::new(), Value::to_string);
        let why = format_args!("{whose}; {example}");
        self.that(format!("owner of {what} {comm}"), others.lines.is_empty(), why);
    }

    /// Checks that there is no warning, and that everything was seen.
    pub fn honest(&mut self, diagnosis: &Diagnosis) {
        let hidden = diagnosis.hidden();
        let holds = (diagnosis.code == Some(0) || hidden.is_some()) && diagnosis.grave().is_empty();
        let what = hidden
            .map_or("no warning".to_owned(), |hidden| format!("no warning ({hidden} hidden by the kernel)"));
        self.that(what, holds, diagnosis.shown());
    }

    /// Checks that there is a finding of one of these kinds and no other finding as severe, that it names this process
    /// first, and that it has a harm. Returns the finding.
    pub fn found<'a>(&mut self, diagnosis: &'a Diagnosis, ids: &[&str], culprit: u32) -> Option<&'a Value> {
        let grave = diagnosis.grave();
        let is_it = |finding: &&&Value| {
            let is_named = owner(finding).is_some_and(|(pid, _)| pid == u64::from(culprit));
            is_named && ids.iter().any(|id| finding["id"] == *id)
        };
        let found = grave.iter().find(is_it).copied();
        let what = format!("{} of process {culprit}", ids.join(" or "));
        self.that(what, found.is_some(), diagnosis.shown());
        if let Some(finding) = found {
            self.that("who is harmed", finding["harm"].is_object(), finding);
            self.that("one trouble, one finding", grave.len() == 1, diagnosis.shown());
        }
        found
    }

    /// Checks that no finding at warning or above names one of these processes first.
    pub fn blames_none_of(&mut self, diagnosis: &Diagnosis, innocent: &[u32]) {
        let grave = diagnosis.grave();
        let blamed = grave.iter().filter_map(|finding| owner(finding));
        let wrong = blamed.filter(|(pid, _)| innocent.iter().any(|one| u64::from(*one) == *pid)).count();
        self.that("nobody else blamed", wrong == 0, diagnosis.shown());
    }

    /// Checks that there is no finding of these kinds at warning or above.
    pub fn not_found(&mut self, diagnosis: &Diagnosis, ids: &[&str]) {
        let wrong = diagnosis.grave().iter().any(|finding| ids.iter().any(|id| finding["id"] == *id));
        self.that(format!("no {}", ids.join(" or ")), !wrong, diagnosis.shown());
    }

    /// The comparisons, if all passed.
    ///
    /// # Errors
    /// The comparisons that failed.
    pub fn verdict(self) -> Result<String, String> {
        if self.failed.is_empty() { Ok(self.compared.join("; ")) } else { Err(self.failed.join("\n")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_may_be_missing_and_nothing_may_be_too_many() {
        let verdict = |hidden, tcptrace, daemon| {
            let mut checks = Checks::of(&Ended::new(Vec::new(), hidden));
            checks.equal("accepted", tcptrace, daemon);
            checks.verdict()
        };
        assert_eq!(verdict(0, 7, 7), Ok("accepted 7".to_owned()));
        assert!(verdict(0, 6, 7).is_err() && verdict(2, 8, 7).is_err() && verdict(2, 4, 7).is_err());
        let at_least = |hidden, tcptrace| {
            let mut checks = Checks::of(&Ended::new(Vec::new(), hidden));
            checks.at_least("silent ones", tcptrace, 6, "");
            checks.verdict().is_ok()
        };
        assert_eq!(
            [at_least(0, 6), at_least(0, 5), at_least(1, 5), at_least(1, 4)],
            [true, false, true, false]
        );
        assert!(verdict(2, 5, 7).is_ok_and(|said| said.starts_with("accepted 7 (2 of them")));
    }
}
