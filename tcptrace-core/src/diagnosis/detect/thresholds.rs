//! Thresholds of the detectors. Each can be set in a TOML file, in a table by the detector's id.

use std::fmt::Write as _;

use serde::{Deserialize, Deserializer, Serialize, de};

/// All thresholds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Thresholds {
    /// Thresholds of `close-wait-leak`.
    pub close_wait_leak: CloseWaitLeak,
    /// Thresholds of `fin-wait1-stuck`, `fin-wait2-stuck`, `last-ack-stuck` and `closing-pileup`.
    pub stuck: Stuck,
    /// Thresholds of `syn-flood`.
    pub syn_flood: SynFlood,
    /// Thresholds of `accept-queue-overflow`.
    pub accept_queue_overflow: AcceptQueue,
    /// Thresholds of `nobody-accepts`.
    pub nobody_accepts: NobodyAccepts,
    /// Thresholds of `stalled`.
    pub stalled: Stalled,
    /// Thresholds of `unreachable-destination` and `connection-refused`.
    pub failed_connects: FailedConnects,
    /// Thresholds of `outbound-scan`.
    pub outbound_scan: OutboundScan,
    /// Thresholds of `phantom-established`.
    pub phantom_established: Phantom,
    /// Thresholds of `time-wait-exhaustion` and `port-exhaustion`.
    pub time_wait_exhaustion: TimeWait,
    /// Thresholds of `reset-storm`.
    pub reset_storm: ResetStorm,
}

/// A process that does not close.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CloseWaitLeak {
    /// Seconds in CLOSE_WAIT from which a socket counts as forgotten.
    pub age_s: u64,
    /// Forgotten sockets of a process from which there is a finding: a warning, where they grow or are surely over.
    #[serde(deserialize_with = "at_least_one")]
    pub count: u64,
    /// Forgotten sockets of a process from which the finding is critical, where the limit of its descriptors is unknown.
    #[serde(deserialize_with = "at_least_one")]
    pub critical_count: u64,
    /// The same for a socket that may still owe its peer an answer.
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
    /// Seconds in FIN_WAIT1, LAST_ACK or CLOSING, without progress, from which a socket counts as stuck.
    pub age_s: u64,
    /// Multiple of `tcp_fin_timeout` in FIN_WAIT2, with the socket still open and nothing received, from which a socket
    /// counts as stuck.
    #[serde(deserialize_with = "amount")]
    pub fin_timeouts: f64,
    /// Seconds in FIN_WAIT2 from which a socket counts as stuck, where `tcp_fin_timeout` is shorter.
    pub fin_wait2_s: u64,
    /// Stuck sockets in a state and a network namespace from which there is a finding.
    #[serde(deserialize_with = "at_least_one")]
    pub count: u64,
}

impl Default for Stuck {
    fn default() -> Self {
        Self { age_s: 5, fin_timeouts: 1.0, fin_wait2_s: 60, count: 5 }
    }
}

/// Half-open connections that their clients do not complete.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SynFlood {
    /// Half-open connections without an answer, at one local end at once, from which there may be a flood.
    #[serde(deserialize_with = "at_least_one")]
    pub half_open: u64,
    /// Share of unanswered connections, in all that were answered or not, from which there is a flood.
    #[serde(deserialize_with = "amount")]
    pub never_completed: f64,
    /// Different sources from which there is a flood, and not one client behind a bad path.
    #[serde(deserialize_with = "at_least_one")]
    pub sources: u64,
    /// Share of a listener's capacity for half-open connections in use from which there is a warning.
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
    /// SYNs and ACKs turned away because of a full queue from which there is a warning: by the listener, or by its namespace
    /// where the listener's part is unknown.
    #[serde(deserialize_with = "at_least_one")]
    pub overflows: u64,
    /// Share of a listener's queue in use from which there is a finding.
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
    /// Seconds for which a client has waited to be accepted from which there is a warning.
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
    /// Connections that one client does not read from which there is a warning; for a server, one is enough.
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
    /// Failures at one destination from which there is a finding.
    #[serde(deserialize_with = "at_least_one")]
    pub count: u64,
    /// Share of failures, in all attempts there, from which there is a finding.
    #[serde(deserialize_with = "amount")]
    pub share: f64,
}

impl Default for FailedConnects {
    fn default() -> Self {
        Self { count: 3, share: 0.5 }
    }
}

/// A process that tries very many destinations.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutboundScan {
    /// Destinations (address and port) to which a process got no connection, from which there may be a scan.
    #[serde(deserialize_with = "at_least_one")]
    pub destinations: u64,
    /// Share of these, in all destinations of the process, from which there is a scan.
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
    /// Seconds without input from which a connection may be a phantom.
    #[serde(deserialize_with = "at_least_one")]
    pub idle_s: u64,
    /// Seconds for which data of this host was sent again and again without an answer, from which a connection is a phantom.
    #[serde(deserialize_with = "at_least_one")]
    pub unanswered_s: u64,
    /// Times that a client came back on another connection, after the last one had fallen silent, from which its earlier
    /// connections are phantoms.
    #[serde(deserialize_with = "at_least_one")]
    pub returns: u64,
    /// Phantoms at one listener from which there is a warning.
    #[serde(deserialize_with = "at_least_one")]
    pub count: u64,
    /// Share of connections with unanswered data, in all of the listener's, from which there is a warning: some clients
    /// vanish every day.
    #[serde(deserialize_with = "amount")]
    pub share: f64,
}

impl Default for Phantom {
    fn default() -> Self {
        Self { idle_s: 60, unanswered_s: 15, returns: 3, count: 2, share: 0.05 }
    }
}

/// Ports that run out, and sockets in TIME_WAIT.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TimeWait {
    /// Share of the ports to one destination in use from which there is a finding, and a warning where they grow.
    #[serde(deserialize_with = "more_than_none")]
    pub ports: f64,
    /// The same share from which there is a warning although they do not grow.
    #[serde(deserialize_with = "more_than_none")]
    pub full: f64,
    /// Share of `tcp_max_tw_buckets` in use from which there is a finding.
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
    /// Resets at one end with a loss from which there is a warning. As many without a loss are worth knowing.
    #[serde(deserialize_with = "at_least_one")]
    pub count: u64,
    /// Share of these resets, in all connections that ended there. Where something was lost, connections without any
    /// exchange do not count.
    #[serde(deserialize_with = "amount")]
    pub share: f64,
}

impl Default for ResetStorm {
    fn default() -> Self {
        Self { count: 20, share: 0.2 }
    }
}

/// A number from 1 on. A threshold of 0 is always reached, and would make everything a finding.
fn at_least_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    match u64::deserialize(deserializer)? {
        0 => {
            Err(de::Error::custom("0 is no threshold, since there are always as many; a number from 1 on is"))
        }
        number => Ok(number),
    }
}

/// A share above 0, for the same reason.
fn more_than_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let share = amount(deserializer)?;
    if share > 0.0 {
        return Ok(share);
    }
    Err(de::Error::custom(format!(
        "{share} is no threshold, since there is always as much; a number above 0 is"
    )))
}

/// A finite number from 0 on. TOML has `nan` and `inf`, which no count ever reaches: such a threshold would silently switch
/// a detector off.
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
    /// Reads thresholds from a file's text; missing ones have their defaults.
    ///
    /// # Errors
    /// The text is no valid file of thresholds; the error names the place.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// The thresholds as a file, with the meaning of each.
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

    /// A threshold of 0 is always reached. Ages may be 0, and so may shares beside which a count is checked.
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
