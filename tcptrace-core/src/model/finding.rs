//! A fault, as every output reports it.

use std::{fmt, net::IpAddr};

use super::{
    evidence::{Evidence, EvidenceValue},
    links::Links,
    who::Who,
};

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// A pattern that is worth knowing, without harm.
    Info,
    /// Data or connections were lost, a peer or a process waits with work pending, or a limit will be reached.
    Warning,
    /// Connections are turned away, or operations fail, now.
    Critical,
}

impl Severity {
    /// Its name in all outputs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// The level of confidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The likeliest explanation.
    Medium,
    /// Nothing else looks like it.
    High,
}

/// The confidence in a finding, and what would raise it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confidence {
    /// The level.
    pub level: Level,
    /// How it could be raised; `None` where that is not necessary.
    pub raised_by: Option<String>,
}

impl Confidence {
    /// Nothing else looks like it.
    pub const HIGH: Self = Self { level: Level::High, raised_by: None };

    /// The likeliest explanation; `by` would make it surer.
    pub fn medium(by: &str) -> Self {
        Self { level: Level::Medium, raised_by: Some(by.to_owned()) }
    }
}

/// A remote end, and the number of sockets in which it has a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// Its port; `None` where it differs from socket to socket.
    pub port: Option<u16>,
    /// The number of sockets.
    pub count: u64,
}

/// The harm of a fault: its kind, its count, and who is harmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Harm {
    /// The harm, with the unit that is counted, in the plural: `connections turned away`.
    pub what: String,
    /// The count in that unit.
    pub count: u64,
    /// The parties that are harmed: `clients of 192.0.2.1:80`.
    pub whom: String,
}

impl Harm {
    /// `count` of `what` happen to `whom`.
    pub fn new(count: u64, what: impl Into<String>, whom: impl Into<String>) -> Self {
        Self { what: what.into(), count, whom: whom.into() }
    }
}

/// `3 connections turned away (clients of 192.0.2.1:80)`. A count of 1, which takes no plural, is
/// `connections turned away: 1 (...)`.
impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            1 => write!(f, "{}: 1 ({})", self.what, self.whom),
            count => write!(f, "{count} {} ({})", self.what, self.whom),
        }
    }
}

/// A fault that another fault explains, so that it is no root of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consequence {
    /// The kind of the finding.
    pub id: &'static str,
    /// Its subject.
    pub subject: String,
    /// One sentence with the numbers.
    pub summary: String,
    /// Its harm.
    pub harm: Option<Harm>,
}

/// A next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The step in words.
    pub what: String,
    /// The step as a command, where there is one.
    pub command: Option<String>,
}

/// A fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The kind; its page is `docs/findings/ID.md`.
    pub id: &'static str,
    /// The subject, such as a listener or a process. It stays the same as long as the fault lasts, while the numbers grow.
    /// Each fault of a kind has another subject.
    pub subject: String,
    /// The network namespace of the fault, by its inode; `None` when it is not known, or when there are several.
    pub netns: Option<u32>,
    /// The severity. From a warning on, there is a harm.
    pub severity: Severity,
    /// The harm; `None` where nobody is harmed.
    pub harm: Option<Harm>,
    /// The confidence.
    pub confidence: Confidence,
    /// One sentence with the numbers.
    pub summary: String,
    /// The facts.
    pub evidence: Vec<Evidence>,
    /// Connections as examples, `local -> remote`.
    pub samples: Vec<String>,
    /// The processes of this host that are responsible.
    pub owners: Vec<Who>,
    /// The remote ends that are responsible.
    pub peers: Vec<Peer>,
    /// Next steps, in order.
    pub next_steps: Vec<Step>,
    /// Look-alikes that were ruled out.
    pub look_alikes: Vec<String>,
    /// Faults that this one explains.
    pub consequences: Vec<Consequence>,
    /// Gaps in its sources: there may be more than it shows.
    pub not_seen: Vec<String>,
    /// The links by which another finding may explain it.
    pub links: Links,
}

impl Finding {
    /// A finding without harm, and with nothing else set.
    pub fn new(id: &'static str, confidence: Confidence, summary: String) -> Self {
        Self {
            id,
            subject: String::new(),
            netns: None,
            severity: Severity::Info,
            harm: None,
            confidence,
            summary,
            evidence: Vec::new(),
            samples: Vec::new(),
            owners: Vec::new(),
            peers: Vec::new(),
            next_steps: Vec::new(),
            look_alikes: Vec::new(),
            consequences: Vec::new(),
            not_seen: Vec::new(),
            links: Links::default(),
        }
    }

    /// Sets the severity and the harm.
    #[must_use]
    pub fn harms(self, severity: Severity, harm: Harm) -> Self {
        Self { severity, harm: Some(harm), ..self }
    }

    /// Its identity from scan to scan: kind and subject.
    pub fn key(&self) -> String {
        format!("{} {}", self.id, self.subject)
    }

    /// Sets the subject.
    #[must_use]
    pub fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = subject.into();
        self
    }

    /// Sets the network namespace.
    #[must_use]
    pub fn within(mut self, netns: Option<u32>) -> Self {
        self.netns = netns;
        self
    }

    /// Sets the subject and the network namespace, where the same subject may be in several namespaces.
    #[must_use]
    pub fn about_in(self, netns: Option<u32>, what: impl fmt::Display) -> Self {
        self.about(in_namespace(netns, what)).within(netns)
    }

    /// Where the finding is in another network namespace than `own`, adds a first step that enters it: commands show the
    /// namespace in which they run. `name`: the name of that namespace, for `ip netns`.
    #[must_use]
    pub fn seen_from(mut self, own: Option<u32>, name: Option<&str>) -> Self {
        let Some(netns) = self.netns.filter(|netns| own.is_some_and(|own| own != *netns)) else {
            return self;
        };
        // The namespace of a process that was not resolved is not known.
        let is_there = |who: &&Who| who.process.as_ref().is_some_and(|process| process.netns == Some(netns));
        let (what, command) = match (name, self.owners.iter().find(is_there)) {
            (Some(name), _) => ("enter it", format!("ip netns exec {name} sh")),
            (None, Some(who)) => ("enter it", format!("nsenter -t {} -n", who.pid)),
            (None, None) => {
                ("find a process PID of it, and enter it by nsenter -t PID -n", "lsns -t net".to_owned())
            }
        };
        let what = format!("It is in network namespace {netns}, not in that of tcptrace: {what}");
        self.next_steps.insert(0, Step { what, command: Some(command) });
        self
    }

    /// Lowers the confidence where a part of the total had no capacity in a table, or was forgotten. Successes are forgotten
    /// first, and without them a share is too great.
    #[must_use]
    pub fn left_out(self, times: u64) -> Self {
        if times == 0 {
            return self;
        }
        let mut finding = self.because("times that the table was full (successes may be missing)", times);
        if finding.confidence.level == Level::High {
            finding.confidence = Confidence::medium("a narrower filter, so that the table can count all");
        }
        finding
    }

    /// Adds a fact. The value is a number with its unit, which the outputs format.
    #[must_use]
    pub fn because(mut self, name: &str, value: impl Into<EvidenceValue>) -> Self {
        self.evidence.push(Evidence { name: name.to_owned(), value: value.into() });
        self
    }

    /// Adds a next step.
    #[must_use]
    pub fn then(mut self, what: &str, command: Option<String>) -> Self {
        self.next_steps.push(Step { what: what.to_owned(), command });
        self
    }

    /// Adds a look-alike that was ruled out.
    #[must_use]
    pub fn not(mut self, what: &str) -> Self {
        self.look_alikes.push(what.to_owned());
        self
    }
}

/// `127.0.0.1:80 in network namespace 4026532286`; without the latter where it is not known, or does not matter.
pub fn in_namespace(netns: Option<u32>, what: impl fmt::Display) -> String {
    netns.map_or_else(|| what.to_string(), |netns| format!("{what} in network namespace {netns}"))
}
