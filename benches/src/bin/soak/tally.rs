//! The tracer's output so far, checked line by line.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde_json::Value;

/// The fields of an output line that are relevant here.
#[derive(Deserialize)]
struct Line<'a> {
    r#type: &'a str,
    #[serde(default)]
    ktime_ns: u64,
    #[serde(default)]
    cookie: u64,
    #[serde(default)]
    origin: Option<&'a str>,
    #[serde(default)]
    old_state: &'a str,
    #[serde(default)]
    new_state: &'a str,
    #[serde(default)]
    close: Option<Close<'a>>,
    #[serde(default)]
    what: &'a str,
    #[serde(default)]
    cause: Option<&'a str>,
    /// The sum so far, in lines about losses and about sampling.
    #[serde(default)]
    total: u64,
}

#[derive(Deserialize)]
struct Close<'a> {
    #[serde(default)]
    cause: Option<&'a str>,
}

/// The states that count as established for `CurrEstab`.
const ESTABLISHED: [&str; 2] = ["ESTABLISHED", "CLOSE_WAIT"];

/// The number of faults that are kept as text; all are counted.
const SHOWN: usize = 5;

/// The sums over all lines so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Transitions that the kernel reported.
    pub(crate) transitions: u64,
    /// The transitions by old and new state.
    kinds: BTreeMap<(String, String), i64>,
    /// Transitions from SYN_SENT to CLOSE that the kernel does not count as a failed attempt: the program closed the
    /// socket.
    cancelled: i64,
    /// Transitions from CLOSE to SYN_SENT that sent no SYN.
    unsent: i64,
    /// The state of every socket that is not closed, by its cookie.
    states: HashMap<u64, String>,
    /// Beginnings and ends of half-open connections, by event and cause.
    half_open: BTreeMap<String, i64>,
    /// All losses reported so far, missed runs included.
    pub(crate) lost: u64,
    /// All records that were left out on purpose, transitions and others, as reported so far.
    sampled_out: u64,
    /// Invalid lines; the first of them as text.
    pub(crate) faults: u64,
    pub(crate) shown: Vec<String>,
    last_ns: u64,
    pub(crate) summary: Option<Value>,
}

impl Tally {
    /// Reads a line.
    pub(crate) fn add(&mut self, text: &str) {
        let Ok(line) = serde_json::from_str::<Line<'_>>(text) else { return self.fault("no JSON", text) };
        match line.r#type {
            "transition" if line.origin == Some("inferred") => {}
            "transition" => self.transition(&line, text),
            "half_open" => {
                let name = [line.what, line.cause.unwrap_or_default()].join(" ");
                *self.half_open.entry(name).or_default() += 1;
            }
            "loss" => self.lost = line.total,
            "degraded" => self.sampled_out = line.total,
            // The summary has these losses as well.
            "half_open_loss" => {}
            "summary" => self.summary = serde_json::from_str(text).ok(),
            _ => self.fault("of no known type", text),
        }
    }

    fn transition(&mut self, line: &Line<'_>, text: &str) {
        let (old, new) = (line.old_state, line.new_state);
        self.transitions += 1;
        *self.kinds.entry((old.to_owned(), new.to_owned())).or_default() += 1;
        if line.ktime_ns < self.last_ns {
            self.fault("older than the line before", text);
        }
        self.last_ns = line.ktime_ns;
        if let Some(close) = &line.close
            && old == "SYN_SENT"
        {
            let unsent = close.cause == Some("no_local_port");
            self.unsent += i64::from(unsent);
            self.cancelled += i64::from(unsent || close.cause == Some("connect_cancelled"));
        }
        let before = if new == "CLOSE" {
            self.states.remove(&line.cookie)
        } else {
            self.states.insert(line.cookie, new.to_owned())
        };
        let begins = old == "CLOSE" || (old == "LISTEN" && new == "SYN_RECV");
        let follows = before.as_deref().map_or(begins, |before| before == old);
        if !follows && self.untold() == 0 {
            self.fault("does not follow from what its socket did before", text);
        }
    }

    fn fault(&mut self, what: &str, line: &str) {
        self.faults += 1;
        if self.shown.len() < SHOWN {
            self.shown.push(format!("{what}: {line}"));
        }
    }

    fn kind(&self, old: &str, new: &str) -> i64 {
        self.kinds.get(&(old.to_owned(), new.to_owned())).copied().unwrap_or(0)
    }

    /// The number of lines about half-open connections that begin with these words.
    pub(crate) fn half_open(&self, what: &str) -> i64 {
        self.half_open.iter().filter(|(name, _)| name.starts_with(what)).map(|(_, count)| count).sum()
    }

    /// The number of transitions that may be missing from the output.
    pub(crate) fn untold(&self) -> u64 {
        self.lost + self.sampled_out
    }

    /// All losses that the summary reports, missed runs included; `None` without a summary.
    pub(crate) fn lost_in_summary(&self) -> Option<u64> {
        self.sum("/lost")
    }

    /// Losses of half-open connections, from the summary.
    pub(crate) fn lost_half_open(&self) -> u64 {
        self.sum("/half_open/lost").unwrap_or(0)
    }

    /// The sum of the numbers of an object in the summary.
    fn sum(&self, object: &str) -> Option<u64> {
        let object = self.summary.as_ref()?.pointer(object)?.as_object()?;
        Some(object.values().filter_map(Value::as_u64).sum())
    }

    /// The values that the kernel's counters must have after these transitions, by the rules of `tcp_set_state()`,
    /// `tcp_done()`, `tcp_connect()` and `tcp_create_openreq_child()`.
    pub(crate) fn expected(&self) -> [(&'static str, i64); 5] {
        let established = self.states.values().filter(|state| ESTABLISHED.contains(&state.as_str())).count();
        [
            ("ActiveOpens", self.kind("CLOSE", "SYN_SENT") - self.unsent),
            ("PassiveOpens", self.kind("LISTEN", "SYN_RECV")),
            (
                "AttemptFails",
                self.kind("SYN_SENT", "CLOSE") + self.kind("SYN_RECV", "CLOSE") - self.cancelled,
            ),
            ("EstabResets", self.kind("ESTABLISHED", "CLOSE") + self.kind("CLOSE_WAIT", "CLOSE")),
            ("CurrEstab", i64::try_from(established).unwrap_or(i64::MAX)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(ns: u64, cookie: u64, old: &str, new: &str, cause: &str) -> String {
        format!(
            r#"{{"type":"transition","origin":"observed","ktime_ns":{ns},"cookie":{cookie},"old_state":"{old}","new_state":"{new}","close":{{"cause":"{cause}"}}}}"#
        )
    }

    fn told(lines: &[(u64, &str, &str, &str)]) -> Tally {
        let mut tally = Tally::default();
        for (ns, (cookie, old, new, cause)) in (1..).zip(lines) {
            tally.add(&line(ns, *cookie, old, new, cause));
        }
        tally
    }

    #[test]
    fn counters_follow_the_kernels_rules() {
        let tally = told(&[
            (1, "CLOSE", "SYN_SENT", ""),
            (1, "SYN_SENT", "CLOSE", "refused"),
            (2, "CLOSE", "SYN_SENT", ""),
            (2, "SYN_SENT", "CLOSE", "connect_cancelled"),
            (3, "CLOSE", "SYN_SENT", ""),
            (3, "SYN_SENT", "CLOSE", "no_local_port"),
            (4, "LISTEN", "SYN_RECV", ""),
            (4, "SYN_RECV", "ESTABLISHED", ""),
            (5, "LISTEN", "SYN_RECV", ""),
            (5, "SYN_RECV", "ESTABLISHED", ""),
            (5, "ESTABLISHED", "CLOSE_WAIT", ""),
            (5, "CLOSE_WAIT", "CLOSE", "reset_by_peer"),
        ]);
        assert_eq!((tally.faults, tally.transitions), (0, 12), "{:?}", tally.shown);
        assert_eq!(tally.expected().map(|(_, count)| count), [2, 2, 1, 1, 1]);
    }

    #[test]
    fn what_cannot_be_is_a_fault() {
        for wrong in [
            &[(1, "ESTABLISHED", "FIN_WAIT1", "")][..],
            &[(1, "CLOSE", "SYN_SENT", ""), (1, "FIN_WAIT1", "FIN_WAIT2", "")],
            &[(1, "LISTEN", "CLOSE", "")],
        ] {
            assert_eq!(told(wrong).faults, 1, "{wrong:?}");
        }
        let mut tally = told(&[(1, "CLOSE", "LISTEN", ""), (1, "LISTEN", "CLOSE", "")]);
        tally.add(&line(1, 2, "CLOSE", "LISTEN", ""));
        tally.add("{");
        tally.add(r#"{"type":"other"}"#);
        assert_eq!(tally.faults, 3, "{:?}", tally.shown);
    }

    #[test]
    fn after_a_loss_sockets_may_jump() {
        let mut tally = Tally::default();
        tally.add(r#"{"type":"loss","total":3}"#);
        tally.add(&line(1, 1, "FIN_WAIT1", "FIN_WAIT2", ""));
        tally.add(r#"{"type":"degraded","total":4}"#);
        assert_eq!((tally.lost, tally.untold(), tally.faults), (3, 7, 0));
    }
}
