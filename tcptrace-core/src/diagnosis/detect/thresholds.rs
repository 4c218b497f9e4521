//! How much is too much. Each can be set in a TOML file, in a table by the detector's id.

use std::fmt::Write as _;

use serde::{Deserialize, Deserializer, Serialize, de};

/// All of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Thresholds {
    /// Of `close-wait-leak`.
    pub close_wait_leak: CloseWaitLeak,
    /// Of `fin-wait1-stuck`, `fin-wait2-stuck`, `last-ack-stuck` and `closing-pileup`.
    pub stuck: Stuck,
    /// Of `syn-flood`.
    pub syn_flood: SynFlood,
    /// Of `accept-queue-overflow`.
    pub accept_queue_overflow: AcceptQueue,
    /// Of `nobody-accepts`.
    pub nobody_accepts: NobodyAccepts,
    /// Of `stalled`.
    pub stalled: Stalled,
    /// Of `unreachable-destination` and `connection-refused`.
    pub failed_connects: FailedConnects,
    /// Of `outbound-scan`.
    pub outbound_scan: OutboundScan,
    /// Of `phantom-established`.
    pub phantom_established: Phantom,
    /// Of `time-wait-exhaustion`.
    pub time_wait_exhaustion: TimeWait,
    /// Of `reset-storm`.
    pub reset_storm: ResetStorm,
}

/// A process that does not close.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CloseWaitLeak {
    /// Seconds in CLOSE_WAIT from which a socket counts as forgotten.
    pub age_s: u64,
    /// Forgotten sockets of a process from which it is a warning.
    #[serde(deserialize_with = "at_least_one")]
    pub count: u64,
    /// Of these from which it is critical, where it is not known how many descriptors the process may have.
    #[serde(deserialize_with = "at_least_one")]
    pub critical_count: u64,
    /// Seconds in CLOSE_WAIT from which a socket counts as forgotten that may still owe its peer an answer.
    pub answer_s: u64,
}

impl Default for CloseWaitLeak {
    fn default() -> Self {
        Self { age_s: 10, count: 5, critical_count: 1_000, answer_s: 60 }
    }
}

/// States that should pass by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stuck {
    /// Seconds in FIN_WAIT1, LAST_ACK or CLOSING, with nothing acknowledged, from which a socket counts as stuck.
    pub age_s: u64,
    /// Times `tcp_fin_timeout` in FIN_WAIT2, with the socket still open and nothing received, from which it counts as
    /// stuck.
    #[serde(deserialize_with = "amount")]
    pub fin_timeouts: f64,
    /// Seconds in FIN_WAIT2 from which one counts as stuck, where `tcp_fin_timeout` is shorter.
    pub fin_wait2_s: u64,
    /// Stuck sockets in a state and a network namespace from which it is a warning.
    #[serde(deserialize_with = "at_least_one")]
    pub count: u64,
}

impl Default for Stuck {
    fn default() -> Self {
        Self { age_s: 5, fin_timeouts: 1.0, fin_wait2_s: 60, count: 5 }
    }
}

/// Half-open connections that nobody completes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SynFlood {
    /// Half-open connections without an answer at one local end at once from which it may be a flood.
    #[serde(deserialize_with = "at_least_one")]
    pub half_open: u64,
    /// Share of those that did not answer in all that did or did not from which it is a flood.
    #[serde(deserialize_with = "amount")]
    pub never_completed: f64,
    /// Different sources from which it is a flood and not one client behind a bad path.
    #[serde(deserialize_with = "at_least_one")]
    pub sources: u64,
    /// Share of a listener's capacity for half-open connections in use from which it is a warning.
    #[serde(deserialize_with = "more_than_none")]
    pub fill: f64,
}

impl Default for SynFlood {
    fn default() -> Self {
        Self { half_open: 64, never_completed: 0.5, sources: 16, fill: 0.8 }
    }
}

/// A program that accepts too slowly.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AcceptQueue {
    /// SYNs and ACKs that a listener turned away for its full queue, or, where it is not known whose they are, the namespace,
    /// from which it is a warning.
    #[serde(deserialize_with = "at_least_one")]
    pub overflows: u64,
    /// Share of a listener's queue in use from which it is worth knowing.
    #[serde(deserialize_with = "more_than_none")]
    pub fill: f64,
}

impl Default for AcceptQueue {
    fn default() -> Self {
        Self { overflows: 1, fill: 0.8 }
    }
}

/// A program that does not accept.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NobodyAccepts {
    /// Seconds for which a client has waited to be accepted from which it is a warning.
    pub age_s: u64,
}

impl Default for NobodyAccepts {
    fn default() -> Self {
        Self { age_s: 10 }
    }
}

/// A program that does not read.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stalled {
    /// Seconds for which nothing was read, and no data has moved, from which a connection is stalled.
    pub age_s: u64,
    /// Connections of one client that does not read from which it is a warning; of a server one is enough.
    #[serde(deserialize_with = "at_least_one")]
    pub count: u64,
}

impl Default for Stalled {
    fn default() -> Self {
        Self { age_s: 10, count: 5 }
    }
}

/// Attempts to connect that fail.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FailedConnects {
    /// Failures at one destination from which they are told of.
    #[serde(deserialize_with = "at_least_one")]
    pub count: u64,
    /// Share of the attempts there that fail from which it is one.
    #[serde(deserialize_with = "amount")]
    pub share: f64,
}

impl Default for FailedConnects {
    fn default() -> Self {
        Self { count: 3, share: 0.5 }
    }
}

/// One process that knocks everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutboundScan {
    /// Destinations (address and port) that a process got no connection to from which it may be a scan.
    #[serde(deserialize_with = "at_least_one")]
    pub destinations: u64,
    /// Their share of all its destinations from which it is one.
    #[serde(deserialize_with = "amount")]
    pub failed: f64,
}

impl Default for OutboundScan {
    fn default() -> Self {
        Self { destinations: 32, failed: 0.7 }
    }
}

/// Connections whose client is gone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Phantom {
    /// Seconds without anything received from which a connection may be one.
    #[serde(deserialize_with = "at_least_one")]
    pub idle_s: u64,
    /// Seconds for which data of this host was sent again and again without an answer from which it is one.
    #[serde(deserialize_with = "at_least_one")]
    pub unanswered_s: u64,
    /// Times that a client came back on another connection, after the last had fallen silent, from which those before are.
    #[serde(deserialize_with = "at_least_one")]
    pub returns: u64,
    /// Such connections at one listener from which it is a warning.
    #[serde(deserialize_with = "at_least_one")]
    pub count: u64,
    /// Share of the listener's connections with unanswered data from which it is a warning: some clients vanish every day.
    #[serde(deserialize_with = "amount")]
    pub share: f64,
}

impl Default for Phantom {
    fn default() -> Self {
        Self { idle_s: 60, unanswered_s: 15, returns: 3, count: 2, share: 0.05 }
    }
}

/// Ports that wait.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TimeWait {
    /// Share of the ports to one destination in use from which it is worth knowing, and a warning where they grow.
    #[serde(deserialize_with = "more_than_none")]
    pub ports: f64,
    /// The same from which it is a warning although they do not grow.
    #[serde(deserialize_with = "more_than_none")]
    pub full: f64,
    /// Share of `tcp_max_tw_buckets` from which it is worth knowing.
    #[serde(deserialize_with = "more_than_none")]
    pub buckets: f64,
}

impl Default for TimeWait {
    fn default() -> Self {
        Self { ports: 0.8, full: 0.9, buckets: 0.9 }
    }
}

/// Connections that end by a reset.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResetStorm {
    /// Resets at one end that lost something from which it is a warning.
    #[serde(deserialize_with = "at_least_one")]
    pub count: u64,
    /// Share of the connections there that end so from which it is one.
    #[serde(deserialize_with = "amount")]
    pub share: f64,
}

impl Default for ResetStorm {
    fn default() -> Self {
        Self { count: 20, share: 0.2 }
    }
}

/// Of none there is always enough: that would make everything a finding.
fn at_least_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    match u64::deserialize(deserializer)? {
        0 => {
            Err(de::Error::custom("0 is no threshold, since there are always as many; a number from 1 on is"))
        }
        number => Ok(number),
    }
}

/// The same of a share.
fn more_than_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let share = amount(deserializer)?;
    if share > 0.0 {
        return Ok(share);
    }
    Err(de::Error::custom(format!(
        "{share} is no threshold, since there is always as much; a number above 0 is"
    )))
}

/// TOML has `nan` and `inf`, which nothing ever reaches: that would switch a detector off without a word.
fn amount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let number = f64::deserialize(deserializer)?;
    if number.is_finite() && number >= 0.0 {
        return Ok(number);
    }
    Err(de::Error::custom(format!("{number} is no threshold; a number from 0 on is")))
}

/// The defaults as a file, with their meaning.
const EXPLAINED: &str = include_str!("thresholds.toml");

impl Thresholds {
    /// From a file's text; what it does not have is as by default.
    ///
    /// # Errors
    /// What is wrong in it, and where.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// As a file, with the meaning of each.
    pub fn explained(&self) -> String {
        let values = toml::Table::try_from(self).unwrap_or_default();
        let mut table = "";
        let mut text = String::new();
        for line in EXPLAINED.lines() {
            let header = line.strip_prefix('[').and_then(|line| line.strip_suffix(']'));
            table = header.unwrap_or(table);
            let value = line
                .split_once(" = ")
                .filter(|_| !line.starts_with('#'))
                .and_then(|(key, _)| Some((key, values.get(table)?.get(key)?)));
            match value {
                // Writing to memory does not fail.
                Some((key, value)) => drop(writeln!(text, "{key} = {value}")),
                None => drop(writeln!(text, "{line}")),
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_explained() {
        assert_eq!(Thresholds::default().explained(), EXPLAINED);
        assert_eq!(Thresholds::parse(EXPLAINED).expect("a table"), Thresholds::default());
        let explained: toml::Table = EXPLAINED.parse().expect("a table");
        assert_eq!(explained, toml::Table::try_from(Thresholds::default()).expect("a table"));
    }

    #[test]
    fn a_file_replaces_what_it_has() {
        let some =
            Thresholds::parse("[stuck]\ncount = 9\n[syn-flood]\nnever_completed = 0.25\n").expect("a table");
        assert_eq!((some.stuck.count, some.stuck.age_s), (9, 5));
        let explained = some.explained();
        assert!(
            explained.contains("\ncount = 9\n") && explained.contains("\nnever_completed = 0.25\n"),
            "{explained}"
        );
        assert_eq!(Thresholds::parse(&explained).expect("a table"), some);
    }

    #[test]
    fn what_nobody_knows_is_an_error() {
        for odd in ["[stuck]\ncuont = 9\n", "[stuk]\n", "[stuck]\ncount = -1\n", "stuck"] {
            assert!(Thresholds::parse(odd).is_err(), "{odd}");
        }
    }

    /// Of none there is always enough. Ages may be 0, and shares of what is counted otherwise.
    #[test]
    fn what_is_always_reached_is_refused() {
        let may_be_none =
            ["age_s", "answer_s", "fin_wait2_s", "fin_timeouts", "never_completed", "share", "failed"];
        for (table, values) in toml::Table::try_from(Thresholds::default()).expect("a table") {
            for (key, value) in values.as_table().expect("a table") {
                let none = if value.is_float() { "0.0" } else { "0" };
                let parsed = Thresholds::parse(&format!("[{table}]\n{key} = {none}\n"));
                if may_be_none.contains(&key.as_str()) {
                    assert!(parsed.is_ok(), "{table} {key}");
                    continue;
                }
                let text = parsed.expect_err("refused").to_string();
                assert!(text.contains("no threshold") && text.contains(key.as_str()), "{text}");
            }
        }
    }

    #[test]
    fn a_threshold_is_a_number_that_something_can_reach() {
        for (table, values) in toml::Table::try_from(Thresholds::default()).expect("a table") {
            for (key, _) in values.as_table().expect("a table").iter().filter(|(_, value)| value.is_float()) {
                for odd in ["nan", "inf", "-inf", "-0.5"] {
                    let error =
                        Thresholds::parse(&format!("[{table}]\n{key} = {odd}\n")).expect_err("refused");
                    let text = error.to_string();
                    assert!(text.contains("a number from 0 on") && text.contains(key.as_str()), "{text}");
                }
                assert!(Thresholds::parse(&format!("[{table}]\n{key} = 2\n")).is_ok(), "{table} {key}");
            }
        }
    }
}
