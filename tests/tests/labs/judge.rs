//! The findings of a diagnosis about a situation, compared with the expected ones.

use std::fmt;

use serde_json::Value;
use tcptrace_tests::labs::{
    Expected, Situation,
    stage::{Made, Playing},
};

use crate::{early::Times, watch::Watched};

/// The outcome of a situation.
pub(crate) struct Verdict {
    pub(crate) situation: &'static Situation,
    outcome: Outcome,
}

enum Outcome {
    /// The findings are right. For a fault that must last for a time, the time of its first report in a trace.
    Right(Option<Times>),
    /// The findings are wrong, in these points.
    Wrong(Vec<String>),
    /// The situation could not be made here, for this reason.
    LeftOut(&'static str),
}

impl Verdict {
    /// Judges by the findings of the whole host, at the end of a diagnosis and as a trace reported them.
    pub(crate) fn of(situation: &'static Situation, made: Made, watched: &Watched) -> Self {
        let outcome = match made {
            Made::Playing(mut playing) => Outcome::of(&mut playing, watched),
            Made::LeftOut(reason) => Outcome::LeftOut(reason),
            Made::Failed(why) => Outcome::Wrong(vec![format!("it could not be made: {why}")]),
        };
        Self { situation, outcome }
    }

    pub(crate) fn failed(&self) -> bool {
        matches!(self.outcome, Outcome::Wrong(_))
    }

    /// Whether the fault is known not to have been reported too early.
    pub(crate) fn was_timed(&self) -> bool {
        matches!(self.outcome, Outcome::Right(Some(_)))
    }

    pub(crate) fn was_made(&self) -> bool {
        !matches!(self.outcome, Outcome::LeftOut(_))
    }
}

impl Outcome {
    fn of(playing: &mut Playing, watched: &Watched) -> Self {
        let findings = &watched.findings;
        let grave: Vec<&Value> =
            findings.iter().filter(|one| one["severity"] != "info" && is_of(playing, one)).collect();
        let mut wrong: Vec<String> =
            playing.ended().iter().map(|role| format!("{role} has ended, so it was not made")).collect();
        match playing.situation.expected {
            Expected::Nothing => wrong.extend(grave.iter().map(|finding| line(finding))),
            Expected::Finding { id, owner, words } => {
                wrong.extend(
                    grave.iter().filter(|one| one["id"] != id).map(|one| format!("also {}", line(one))),
                );
                match grave.iter().filter(|one| one["id"] == id).collect::<Vec<_>>()[..] {
                    [] => wrong.push(format!("no {id}{}", mildly(playing, findings, id))),
                    [one] => wrong.extend(misnamed(playing, one, owner, words)),
                    ref several => wrong.extend(several.iter().map(|one| format!("again {}", line(one)))),
                }
                match when(playing, watched, id) {
                    Some(times) if times.first < times.least => wrong.push(format!("too early: {times}")),
                    times if wrong.is_empty() => return Self::Right(times),
                    _ => {}
                }
            }
        }
        if wrong.is_empty() { Self::Right(None) } else { Self::Wrong(wrong) }
    }
}

/// The time of a trace's first report, for a fault that must last for a time. A fault without a report by the end of
/// the watch was not reported too early.
fn when(playing: &Playing, watched: &Watched, id: &str) -> Option<Times> {
    let least = watched.shipped.time(playing.situation.wait?);
    let mut all = watched.reported.iter();
    let first = all.find(|one| one.finding["id"] == id && is_of(playing, &one.finding))?;
    Some(Times { first: first.after(playing), least })
}

/// Whether a finding is about the situation: by its namespace, or if it has none, by its owners.
fn is_of(playing: &Playing, finding: &Value) -> bool {
    match finding["netns"].as_u64() {
        Some(inode) => playing.is_in(inode),
        None => owners(finding).any(|owner| playing.has(owner["pid"].as_u64().unwrap_or_default())),
    }
}

fn owners(finding: &Value) -> impl Iterator<Item = &Value> {
    finding["owners"].as_array().expect("owners").iter()
}

/// The errors in the naming: the first owner must be this role's process, and the first line must have the words, or
/// name the process.
fn misnamed(playing: &Playing, finding: &Value, owner: &str, words: Option<&str>) -> Vec<String> {
    let pid = playing.pid(owner).unwrap_or_default();
    let mut wrong = Vec::new();
    let first = owners(finding).next();
    if first.is_none_or(|first| first["pid"] != pid) {
        let first =
            first.map_or_else(|| "nobody".to_owned(), |first| format!("{}[{}]", first["comm"], first["pid"]));
        wrong.push(format!("first owner {first}, not {owner}[{pid}]: {}", line(finding)));
    }
    let harm = &finding["harm"];
    let said = format!("{} {} {}", finding["summary"], harm["what"], harm["whom"]);
    let words = words.map_or_else(|| format!("[{pid}]"), str::to_owned);
    if !said.contains(&words) {
        wrong.push(format!("{words} is not in its first line: {}", line(finding)));
    }
    wrong
}

/// The findings of this kind below a warning.
fn mildly(playing: &Playing, findings: &[Value], id: &str) -> String {
    let mild = findings.iter().find(|one| one["id"] == id && is_of(playing, one));
    mild.map_or_else(String::new, |one| format!(", only {}", line(one)))
}

fn line(finding: &Value) -> String {
    let word = |name: &str| finding[name].as_str().unwrap_or("-").to_owned();
    format!("{} {}: {}", word("severity"), word("id"), word("summary"))
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.situation.name;
        match &self.outcome {
            Outcome::Right(None) => write!(f, "right {name}"),
            Outcome::Right(Some(times)) => write!(f, "right {name}: {times}"),
            Outcome::Wrong(what) => write!(f, "WRONG {name}: {}", what.join("; ")),
            Outcome::LeftOut(reason) => write!(f, "left out {name}: {reason}"),
        }
    }
}
