//! A transition as JSON, written without serde: it is the one line that a storm has millions of.

use std::{io, sync::Arc};

use tcptrace_common::{CloseEvidence, EvidenceFlags, Fact};

use super::{
    process,
    put::{
        addresses, figures, head, key, name, number, number_or_null, optional, optional_name, optional_word,
        quoted, word,
    },
};
use crate::{
    model::{
        close::{Cause, Role},
        event::{Context, Event},
        owner::Owner,
        state::State,
        transition::{Origin, Transition},
    },
    output::{
        cached::{Cached, Whose},
        put,
    },
};

/// Writes transitions.
#[derive(Default)]
pub(super) struct Transitions {
    whose: Cached<Whose>,
    owners: Cached<Arc<Owner>>,
    contexts: Cached<Context>,
}

impl Transitions {
    /// Appends the object, without the end of the line. `time` is RFC 3339.
    ///
    /// # Errors
    /// None but those of serde.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, time: &str, transition: &Transition) -> io::Result<()> {
        let event = &transition.event;
        head(out, "transition", time, event.ktime_ns);
        let whose = Whose::of(event);
        self.whose.put(out, &whose, whose.number(), |out, _| ends(out, event))?;
        key(out, "old_state");
        quoted(out, |out| put::state(out, event.old_state));
        key(out, "new_state");
        quoted(out, |out| put::state(out, event.new_state));
        optional(out, "duration_us", transition.in_old_state_ns.map(|ns| ns / 1_000));
        optional(out, "duration_min_us", transition.at_least_ns.map(|ns| ns / 1_000));
        word(out, "origin", transition.origin.name());
        match &transition.owner {
            None => owner(out, None)?,
            Some(known) => {
                self.owners.put(out, known, known.number(), |out, known| owner(out, Some(known)))?;
            }
        }
        key(out, "context");
        match transition.origin {
            Origin::Observed => self.contexts.put(out, &event.context, event.context.tid, context)?,
            // Nothing ran.
            Origin::Inferred => out.extend_from_slice(b"null"),
        }
        if event.new_state == State::CLOSE {
            close(out, transition)?;
        }
        out.push(b'}');
        Ok(())
    }
}

/// Appends whose transition it is: cookie, namespace, addresses and ports.
///
/// # Errors
/// None but those of serde.
pub(in crate::output) fn ends(out: &mut Vec<u8>, event: &Event) -> io::Result<()> {
    number(out, "cookie", event.cookie);
    optional(out, "netns", event.netns);
    addresses(out, (event.laddr, event.lport), (event.raddr, event.rport));
    // Few have one: its members are not there where none is.
    if let Some(device) = &event.device {
        number(out, "ifindex", device.ifindex);
        optional_name(out, "device", device.name.as_deref().map(str::as_bytes))?;
    }
    Ok(())
}

/// Appends the owner, null when not known.
pub(in crate::output) fn owner(out: &mut Vec<u8>, owner: Option<&Owner>) -> io::Result<()> {
    key(out, "owner");
    let Some(owner) = owner else {
        out.extend_from_slice(b"null");
        return Ok(());
    };
    out.extend_from_slice(b"{\"pid\":");
    put::number(out, owner.pid);
    optional_name(out, "comm", owner.name())?;
    number(out, "uid", owner.uid);
    word(out, "provenance", owner.provenance.name());
    process::put(out, owner.process.as_deref())?;
    key(out, "others");
    out.push(b'[');
    for (index, pid) in owner.others.iter().flat_map(|others| others.iter()).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        put::number(out, *pid);
    }
    out.extend_from_slice(b"]}");
    Ok(())
}

fn context(out: &mut Vec<u8>, context: &Context) -> io::Result<()> {
    out.extend_from_slice(b"{\"pid\":");
    put::number(out, context.pid);
    number(out, "tid", context.tid);
    name(out, "comm", &context.comm)?;
    number(out, "uid", context.uid);
    number(out, "cgroup_id", context.cgroup_id);
    known(out, "in_process", context.in_process);
    out.push(b'}');
    Ok(())
}

/// Null where the kernel's layout did not give the value, or too little was seen to tell.
fn close(out: &mut Vec<u8>, transition: &Transition) -> io::Result<()> {
    out.extend_from_slice(b",\"close\":{\"error\":");
    number_or_null(out, transition.event.error);
    figures(out, transition);
    let closing = transition.closing.as_deref();
    optional_word(out, "cause", closing.and_then(|closing| closing.cause).map(Cause::name));
    let reset_reason = closing.and_then(|closing| closing.reset_reason.as_deref());
    optional_name(out, "reset_reason", reset_reason.map(str::as_bytes))?;
    optional_word(out, "role", closing.and_then(|closing| closing.role).map(Role::name));
    optional(out, "life_us", closing.and_then(|closing| closing.life_ns).map(|ns| ns / 1_000));
    let reset = closing.and_then(|closing| closing.reset_sent);
    optional_word(out, "reset", reset.map(|sent| if sent { "sent" } else { "received" }));
    key(out, "evidence");
    match &transition.event.evidence {
        Some(of_socket) => evidence(out, of_socket),
        None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
    Ok(())
}

/// What a cause is concluded from.
fn evidence(out: &mut Vec<u8>, evidence: &CloseEvidence) {
    out.extend_from_slice(b"{\"segs_out\":");
    put::number(out, evidence.segs_out);
    number(out, "unsent", evidence.unsent);
    number(out, "unread", evidence.unread);
    number(out, "shutdown", evidence.shutdown);
    for (name, bit) in [("fin_received", EvidenceFlags::DONE), ("linger_zero", EvidenceFlags::LINGER_ZERO)] {
        known(out, name, Some(evidence.flags & bit != 0));
    }
    for (name, fact) in [
        ("repair", Fact::Repair),
        ("deferred", Fact::Deferred),
        ("listened", Fact::Listened),
        ("bound", Fact::Bound),
        ("sequenced", Fact::Sequenced),
    ] {
        known(out, name, evidence.fact(fact));
    }
    out.push(b'}');
}

fn known(out: &mut Vec<u8>, name: &str, so: Option<bool>) {
    key(out, name);
    out.extend_from_slice(match so {
        None => b"null",
        Some(false) => b"false",
        Some(true) => b"true",
    });
}
