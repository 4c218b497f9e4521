//! Sockets of a capture.

use std::{
    io::{self, Read, Write as _},
    path::Path,
};

use tcptrace_core::{
    capture::{Damage, Reader},
    model::{
        clock::Clock,
        input::Input,
        scan::{Look, Looked},
    },
    output::sockets::Seen,
};

use super::{Error, Outcome, Settings, round};

/// A look that a capture has.
pub(crate) struct Recorded {
    look: Look,
    start_ns: u64,
    end_ns: u64,
    clock: Clock,
}

impl Recorded {
    pub(crate) fn seen(&self, settings: &Settings) -> Seen<'_> {
        let Self { look, start_ns, end_ns, clock } = self;
        Seen { look, by: settings.by, start_ns: *start_ns, end_ns: *end_ns, clock: *clock }
    }
}

/// Shows the last look.
pub(super) fn show(path: &Path, settings: &Settings) -> Result<Outcome, Error> {
    let (look, damage) = last_look(Reader::open(path)?, settings)?;
    let outcome = round::tell(settings, &look.seen(settings), b"")?;
    match damage {
        Some(damage) if outcome != Outcome::OutputClosed => {
            let _ = writeln!(io::stderr(), "tcptrace: the capture is not all there: {damage}");
            Ok(Outcome::Gaps)
        }
        _ => Ok(outcome),
    }
}

/// What is wanted of the last look, and why there may be a later one that cannot be read.
pub(crate) fn last_look<R: Read>(
    mut reader: Reader<R>,
    settings: &Settings,
) -> Result<(Recorded, Option<Damage>), Error> {
    let clock = reader.header().clock;
    let mut last = None;
    let damage = loop {
        match reader.next_input() {
            Ok(Some(Input::Looked(looked))) => last = Some(looked),
            Ok(Some(_)) => {}
            Ok(None) => break None,
            Err(damage) => break Some(damage),
        }
    };
    let Looked { start_ns, end_ns, look, .. } = *last.ok_or(Error::NoLook)?;
    let mut look = look.map_err(Error::Failed)?;
    look.narrow(&settings.wanted);
    Ok((Recorded { look, start_ns, end_ns, clock }, damage))
}
