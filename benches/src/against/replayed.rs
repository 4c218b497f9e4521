//! The cost of both tools when they replay captures of the older one.

use std::{ffi::OsString, path::Path};

use anyhow::{Result, ensure};

use super::{Plan, figure, turns::Turns};
use crate::{
    measure::TRANSITIONS,
    memory::{self, Memory},
    recording, usage,
};

/// CPU time of a replay.
///
/// # Errors
/// When the older tool cannot record.
pub(super) fn cpu(turns: &mut Turns, older: &Path, plan: Plan, folder: &Path) -> Result<()> {
    // One thread. The recorder has another core, so that it keeps up.
    let capture = recording::of_churn(older, plan.recorded, 1, folder)?;
    let events = plan.recorded * TRANSITIONS;
    for command in ["trace", "diagnose"] {
        let name = format!("replay of {events} events, `{command}`: CPU");
        let arguments: Vec<OsString> = vec![command.into(), "--from".into(), capture.clone().into()];
        turns.measure([figure(&name, "s", 3)], plan.replays, |tool| {
            let used = usage::of(tool, &arguments, &folder.join("output"))?;
            ensure!(matches!(used.code, Some(0 | 3 | 4)), "the replay ended with {:?}", used.code);
            Ok([used.cpu_s])
        });
    }
    Ok(())
}

/// Memory for each tracked connection.
///
/// # Errors
/// When the older tool cannot record.
pub(super) fn memory(turns: &mut Turns, older: &Path, plan: Plan, folder: &Path) -> Result<()> {
    let captures = memory::captures(older, plan.open, folder)?;
    turns.measure([figure("memory per connection", "bytes", 1)], plan.replays, |tool| {
        let peak_kib = captures.replay(tool, &folder.join("output"))?;
        Ok([Memory { connections: plan.open, peak_kib }.per_connection()])
    });
    Ok(())
}
