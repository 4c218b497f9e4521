//! The details of `wide`, as `name=value`, which reads without a header.

use std::io::{self, Write as _};

use super::put;
use crate::model::{
    close::Closing,
    event::Context,
    process::Process,
    text::{Escaped, Span},
    transition::{Origin, Transition},
};

/// Appends the details of a transition.
pub(super) fn transition(out: &mut Vec<u8>, transition: &Transition) -> io::Result<()> {
    let event = &transition.event;
    netns(out, event.flow.netns)?;
    write!(out, " cookie={}", event.cookie)?;
    match transition.origin {
        Origin::Observed => context(out, &event.context)?,
        Origin::Inferred => write!(out, " inferred")?,
    }
    if let Some(process) = transition.owner.as_deref().and_then(|owner| owner.process.as_deref()) {
        owner(out, process)?;
    }
    if let Some(metrics) = event.metrics {
        write!(out, " acked={} received={} srtt=", metrics.bytes_acked, metrics.bytes_received)?;
        match metrics.srtt_us {
            0 => write!(out, "-")?,
            srtt_us => write!(out, "{}", Span(u64::from(srtt_us) * 1_000))?,
        }
    }
    if let Some(retransmits) = transition.retransmits() {
        write!(out, " retransmits={retransmits}")?;
    }
    if let Some(closing) = &transition.closing {
        write!(out, " role={}", closing.role.map_or("-", |role| role.name()))?;
        match closing.life_ns {
            Some(ns) => write!(out, " life={}", Span(ns))?,
            None => write!(out, " life=-")?,
        }
        reset(out, closing);
    }
    Ok(())
}

/// Appends unit and container of the owner, where it has them.
pub(super) fn owner(out: &mut Vec<u8>, process: &Process) -> io::Result<()> {
    if let Some(unit) = &process.unit {
        write!(out, " unit={}", Escaped(unit.as_bytes()))?;
    }
    if let Some(container) = &process.container {
        write!(out, " container={}:{}", container.runtime, Escaped(container.id.as_bytes()))?;
    }
    Ok(())
}

/// Appends the network namespace.
pub(super) fn netns(out: &mut Vec<u8>, netns: Option<u32>) -> io::Result<()> {
    match netns {
        Some(inode) => write!(out, " netns={inode}"),
        None => write!(out, " netns=-"),
    }
}

/// Appends the kernel's reason for the reset that this side sent, if it gave one.
pub(super) fn reset(out: &mut Vec<u8>, closing: &Closing) {
    if let Some(reason) = &closing.reset_reason {
        out.extend_from_slice(b" reset=");
        put::name(out, reason.as_bytes());
    }
}

fn context(out: &mut Vec<u8>, context: &Context) -> io::Result<()> {
    let held = match context.in_process {
        Some(true) => "process",
        Some(false) => "softirq",
        None => "unknown",
    };
    write!(
        out,
        " context={}[{}/{}] uid={} {held} cgroup={}",
        Escaped(&context.comm),
        context.pid,
        context.tid,
        context.uid,
        context.cgroup_id,
    )
}
