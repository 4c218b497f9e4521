//! A fault, as every output tells it.

use std::{fmt, net::IpAddr};

use super::{
    evidence::{Evidence, EvidenceValue},
    links::Links,
    who::Who,
};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// A pattern that is worth knowing; nobody is harmed.
    Info,
    /// Data or connections were lost, somebody waits with work pending, or a limit will be reached.
    Warning,
    /// Somebody is turned away, or fails, now.
    Critical,
}

impl Severity {
    /// As all outputs have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// How sure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The likeliest explanation.
    Medium,
    /// Nothing else looks like it.
    High,
}

/// How sure it is, and what would make it surer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confidence {
    /// How sure.
    pub level: Level,
    /// How it could be raised; `None` where it need not be.
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

/// A remote end, and how many sockets it has a part in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// Its port; `None` where it is another one each time.
    pub port: Option<u16>,
    /// How many.
    pub count: u64,
}

/// The harm of a fault: how, how many, and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Harm {
    /// The harm, with the unit that is counted, in the plural: `connections turned away`.
    pub what: String,
    /// How many of these.
    pub count: u64,
    /// To whom: `clients of 192.0.2.1:80`.
    pub whom: String,
}

impl Harm {
    /// `count` of `what` happen to `whom`.
    pub fn new(count: u64, what: impl Into<String>, whom: impl Into<String>) -> Self {
        Self { what: what.into(), count, whom: whom.into() }
    }
}

/// `3 connections turned away (clients of 192.0.2.1:80)`; of a single one, which is no plural, `connections turned away: 1 (...)`.
impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            1 => write!(f, "{}: 1 ({})", self.what, self.whom),
            count => write!(f, "{count} {} ({})", self.what, self.whom),
        }
    }
}

/// A fault that another one explains, and that is no root of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consequence {
    /// Which kind.
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
    /// In words.
    pub what: String,
    /// As a command, where there is one.
    pub command: Option<String>,
}

/// A fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which kind; its page is `docs/findings/ID.md`.
    pub id: &'static str,
    /// What it is about, such as a listener or a process: the same as long as the fault is, while its numbers grow, and
    /// another one for each fault of a kind.
    pub subject: String,
    /// The network namespace in which it is, by its inode; `None` when it is not known, or in several.
    pub netns: Option<u32>,
    /// How bad it is: from a warning on, there is a harm.
    pub severity: Severity,
    /// The harm; `None` where nobody is harmed.
    pub harm: Option<Harm>,
    /// How sure it is.
    pub confidence: Confidence,
    /// One sentence with the numbers.
    pub summary: String,
    /// The facts.
    pub evidence: Vec<Evidence>,
    /// Connections as examples, `local -> remote`.
    pub samples: Vec<String>,
    /// The processes of this host that are responsible.
    pub owners: Vec<Who>,
    /// The remote ends that are.
    pub peers: Vec<Peer>,
    /// Next steps, in this order.
    pub next_steps: Vec<Step>,
    /// Look-alikes that were ruled out.
    pub look_alikes: Vec<String>,
    /// Faults that it explains.
    pub consequences: Vec<Consequence>,
    /// Gaps in its sources, so that there may be more.
    pub not_seen: Vec<String>,
    /// By what it is told whether another finding explains it.
    pub links: Links,
}

impl Finding {
    /// One that harms nobody, and has nothing else yet.
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

    /// Says how bad it is, and whom it harms.
    #[must_use]
    pub fn harms(self, severity: Severity, harm: Harm) -> Self {
        Self { severity, harm: Some(harm), ..self }
    }

    /// Its identity from scan to scan: kind and subject.
    pub fn key(&self) -> String {
        format!("{} {}", self.id, self.subject)
    }

    /// Says what it is about.
    #[must_use]
    pub fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = subject.into();
        self
    }

    /// Says in which network namespace it is.
    #[must_use]
    pub fn within(mut self, netns: Option<u32>) -> Self {
        self.netns = netns;
        self
    }

    /// Says what it is about, where the same may be in several network namespaces.
    #[must_use]
    pub fn about_in(self, netns: Option<u32>, what: impl fmt::Display) -> Self {
        self.about(in_namespace(netns, what)).within(netns)
    }

    /// Where it is in another network namespace than `own`, says first how to get there: commands tell of the one that they
    /// run in. `name`: of that namespace, for `ip netns`.
    #[must_use]
    pub fn seen_from(mut self, own: Option<u32>, name: Option<&str>) -> Self {
        let Some(netns) = self.netns.filter(|netns| own.is_some_and(|own| own != *netns)) else {
            return self;
        };
        // Of a process that nobody looked at, nobody knows where it is.
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

    /// Where some of what it is a share of had no room, or was forgotten, it is less sure: what goes well is forgotten first,
    /// and without that a share is too great.
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

    /// Adds something to do.
    #[must_use]
    pub fn then(mut self, what: &str, command: Option<String>) -> Self {
        self.next_steps.push(Step { what: what.to_owned(), command });
        self
    }

    /// Adds what it was told from.
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
