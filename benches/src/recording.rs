//! Recordings by the tracer itself.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    churn::{self, Load},
    tool::Tool,
};

/// Makes a short recording without a load.
///
/// # Errors
/// When the tracer does not record.
pub(crate) fn of_nothing(tracer: &Path, folder: &Path) -> Result<PathBuf> {
    let file = folder.join("nothing.capture");
    let status = Command::new(tracer)
        .args(["record", "--duration", "1s", "-w"])
        .arg(&file)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .context("starting the tracer")?;
    ensure!(status.success(), "recording ended with {status}");
    Ok(file)
}

/// Makes a recording of this many connections on each of `threads`, as fast as they can be made.
///
/// # Errors
/// When the tracer does not record, or loses records.
pub(crate) fn of_churn(tracer: &Path, connections: u32, threads: u8, folder: &Path) -> Result<PathBuf> {
    let file = folder.join("churn.capture");
    let file_name = file.to_str().context("the folder's name is no text")?;
    let running = Tool::ours(tracer, &["record", "-w", file_name]).start(&folder.join("recorder"))?;
    churn::run(connections, Load::Churn { threads })?;
    let code = running.stop()?;
    ensure!(code == Some(0), "recording ended with {code:?}: 4 says that transitions were lost");
    Ok(file)
}
