//! Sockets of a capture.

use std::{
    io::{self, Write as _},
    path::Path,
};

use super::{Error, Outcome, Settings, round};
use crate::{
    capture::Reader,
    sink::sockets::Seen,
    trace::{Input, Looked},
};

/// Shows the last look.
pub(super) fn show(path: &Path, settings: &Settings) -> Result<Outcome, Error> {
    let mut reader = Reader::open(path)?;
    let clock = reader.header().clock;
    let mut last = None;
    let damage = loop {
        match reader.next() {
            Ok(Some(Input::Looked(looked))) => last = Some(looked),
            Ok(Some(_)) => {}
            Ok(None) => break None,
            Err(damage) => break Some(damage),
        }
    };
    let Looked { start_ns, end_ns, look, .. } = *last.ok_or(Error::NoLook)?;
    let mut look = look.map_err(Error::Failed)?;
    look.narrow(&settings.wanted);
    let seen = Seen { look: &look, by: settings.by, start_ns, end_ns, clock };
    let outcome = round::tell(settings, &seen, b"")?;
    match damage {
        Some(damage) if outcome != Outcome::OutputClosed => {
            let _ = writeln!(io::stderr(), "tcptrace: the capture is not all there: {damage}");
            Ok(Outcome::Gaps)
        }
        _ => Ok(outcome),
    }
}
