//! A finding.

use std::{marker::PhantomData, net::IpAddr};

use super::report::{Objects, objects};
use crate::{
    model::{
        evidence::Evidence,
        finding::{Confidence, Consequence, Finding, Harm, Level, Peer, Severity, Step},
        process::Container,
        record::{Found, Phase},
        text::until_nul,
        who::Who,
    },
    output::fields::{
        schema::{Definitions, Schema},
        table::fields,
        value::Value,
        values::{Kind, Name, Object, Quoted, Strings, Time, Version},
    },
};

/// A finding among transitions.
pub(in crate::output) struct Line<'a> {
    /// RFC 3339.
    pub(in crate::output) time: &'a str,
    /// The finding, and the moment in its life.
    pub(in crate::output) found: &'a Found,
}

fields! { "finding", impl['a] for Line<'a>, |line|, "Something was found to be wrong.", {
    "finding": Elsewhere<'a> = Elsewhere(&line.found.finding), "As in docs/diagnose.schema.json.";
    "ktime_ns": u64 = line.found.ktime_ns,
        "The same moment in nanoseconds of CLOCK_MONOTONIC. Order lines by this field.";
    "phase": Phase = line.found.phase,
        "begun: a scan shows it for the first time. changed: it is more severe than before, or its owner is known at last. \
         ended: scans no longer show it; the finding is as it was last.";
    "schema": Version = Version,
        "Version of this format. It rises when a consumer could stumble over a change; new fields do not raise it.";
    "time": Time<'a> = Time(line.time), "";
    "type": Kind<Self> = Kind(PhantomData), "";
} }

/// A finding that another schema describes.
pub(in crate::output) struct Elsewhere<'a>(&'a Finding);

impl Value for Elsewhere<'_> {
    fn json(&self, out: &mut Vec<u8>) {
        Object(self.0).json(out);
    }

    fn text(&self, _: &mut Vec<u8>) {}

    fn schema(_: &mut Definitions) -> Schema {
        Schema::of_type("object")
    }
}

fields! { "finding", impl[] for Finding, |finding|, "",
    rules r#"{
        "if": { "properties": { "severity": { "const": "info" } } },
        "then": { "properties": { "harm": { "type": "null" } } },
        "else": { "properties": { "harm": { "type": "object", "properties": { "count": { "minimum": 1 } } } } }
    }"#, {
    "confidence": Object<&Confidence> = Object(&finding.confidence), "";
    "consequences": Objects<'_, Consequence> = objects(&finding.consequences),
        "What this finding explains, and what is no finding of its own therefore.";
    "doc": Page = Page(finding.id), "Its page in this project, which `tcptrace explain` with the id prints as well.";
    "evidence": Objects<'_, Evidence> = objects(&finding.evidence), "The facts that it rests on.";
    "harm": Option<Object<&Harm>> = finding.harm.as_ref().map(Object),
        "Who is harmed; null where nobody is, which is so of info only.";
    "id": Id = Id(finding.id), "Its kind.";
    "look_alikes": Strings<'_> = Strings(&finding.look_alikes), "Similar faults that the evidence rules out.";
    "netns": Option<u32> = finding.netns,
        "Inode of the network namespace that it is in; null when that is not known, or several.";
    "next_steps": Objects<'_, Step> = objects(&finding.next_steps), "What to do, in this order.";
    "not_seen": Strings<'_> = Strings(&finding.not_seen),
        "What could not be seen of that on which it rests, so that there may be more.";
    "owners": Objects<'_, Who> = objects(&finding.owners), "The processes of this host that are responsible.";
    "peers": Objects<'_, Peer> = objects(&finding.peers),
        "The remote ends that are, and how many sockets each has a part in.";
    "samples": Strings<'_> = Strings(&finding.samples), "Connections as examples.";
    "severity": Severity = finding.severity,
        "critical: somebody is turned away or fails now. warning: data or connections were lost, somebody waits with work \
         pending, or a limit will be reached. info: a pattern that is worth knowing; nobody is harmed.";
    "subject": Filled<'_> = Filled(&finding.subject),
        "What it is about, such as a listener or a process: the same as long as the fault is, and another one for each finding \
         of a kind.";
    "summary": Quoted<'_> = Quoted(&finding.summary), "One sentence with the numbers.";
} }

fields! { "confidence", impl[] for Confidence, |confidence|, "", {
    "level": Level = confidence.level, "";
    "raised_by": Option<Quoted<'_>> = confidence.raised_by.as_deref().map(Quoted), "What would make it surer.";
} }

fields! { "consequence", impl[] for Consequence, |consequence|, "", {
    "harm": Option<Object<&Harm>> = consequence.harm.as_ref().map(Object), "Who is harmed by it.";
    "id": Id = Id(consequence.id), "Its kind.";
    "subject": Quoted<'_> = Quoted(&consequence.subject), "What it is about.";
    "summary": Quoted<'_> = Quoted(&consequence.summary), "One sentence with the numbers.";
} }

fields! { "harm", impl[] for Harm, |harm|, "", {
    "count": u64 = harm.count, "How many of these.";
    "what": Filled<'_> = Filled(&harm.what),
        "What happens, with the unit that is counted, such as connections turned away.";
    "whom": Filled<'_> = Filled(&harm.whom), "Who is harmed.";
} }

fields! { "step", impl[] for Step, |step|, "", {
    "command": Option<Quoted<'_>> = step.command.as_deref().map(Quoted), "As a command, where there is one.";
    "what": Quoted<'_> = Quoted(&step.what), "In words.";
} }

fields! { "peer", impl[] for Peer, |peer|, "", {
    "address": IpAddr = peer.address, "Its address.";
    "count": u64 = peer.count, "Sockets that it has a part in.";
    "port": Option<u16> = peer.port, "Its port; null where it is another one each time.";
} }

fields! { "process", impl[] for Who, |who|, "", {
    "comm": Option<Name<'_>> = (!until_nul(&who.comm).is_empty()).then_some(Name(&who.comm)),
        "Its name; null when it ended before it was read.";
    "container": Option<Object<&Container>> = who.process.as_ref().and_then(|process| process.container.as_ref()).map(Object),
        "The container that it runs in; null when it runs in none, or as for comm.";
    "exe": Option<Name<'_>> = who.process.as_ref().and_then(|process| process.exe.as_deref()).map(Name),
        "Path of its program; null as for comm.";
    "exe_deleted": Option<bool> =
        who.process.as_ref().filter(|process| process.exe.is_some()).map(|process| process.exe_deleted),
        "The program's file is gone from that path: deleted, or replaced by an update; null as for exe.";
    "pid": u32 = who.pid, "Process id.";
    "uid": Option<u32> = who.process.as_ref().map(|process| process.uid), "Real user id; null as for comm.";
    "unit": Option<Name<'_>> =
        who.process.as_ref().and_then(|process| process.unit.as_deref()).map(|unit| Name(unit.as_bytes())),
        "Its systemd unit; null when it has none, or as for comm.";
} }

/// The kind of a finding.
pub(in crate::output) struct Id(&'static str);

impl Value for Id {
    fn json(&self, out: &mut Vec<u8>) {
        Quoted(self.0).json(out);
    }

    fn text(&self, _: &mut Vec<u8>) {}

    fn schema(_: &mut Definitions) -> Schema {
        Schema::of_type("string").with("pattern", "^[a-z0-9-]+$")
    }
}

/// The page about a kind of finding.
pub(in crate::output) struct Page(&'static str);

impl Value for Page {
    fn json(&self, out: &mut Vec<u8>) {
        Quoted(&format!("docs/findings/{}.md", self.0)).json(out);
    }

    fn text(&self, _: &mut Vec<u8>) {}

    fn schema(_: &mut Definitions) -> Schema {
        Schema::of_type("string").with("pattern", "^docs/findings/[a-z0-9-]+\\.md$")
    }
}

/// Text that is never empty.
pub(in crate::output) struct Filled<'a>(pub(super) &'a str);

impl Value for Filled<'_> {
    fn json(&self, out: &mut Vec<u8>) {
        Quoted(self.0).json(out);
    }

    fn text(&self, _: &mut Vec<u8>) {}

    fn schema(_: &mut Definitions) -> Schema {
        Schema::of_type("string").with("minLength", 1)
    }
}
