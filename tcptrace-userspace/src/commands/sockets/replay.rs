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
        scan::{HostScan, SocketScan},
    },
    output::sockets::Seen,
};

use super::{Error, Outcome, Settings, round};

/// A scan that a capture has.
pub(crate) struct Recorded {
    scan: SocketScan,
    start_ns: u64,
    end_ns: u64,
    clock: Clock,
}

impl Recorded {
    pub(crate) fn seen(&self, settings: &Settings) -> Seen<'_> {
        let Self { scan, start_ns, end_ns, clock } = self;
        Seen { scan, by: settings.by, start_ns: *start_ns, end_ns: *end_ns, clock: *clock }
    }
}

/// Shows the last scan.
pub(super) fn show(path: &Path, settings: &Settings) -> Result<Outcome, Error> {
    let (scan, damage) = last_scan(Reader::open(path)?, settings)?;
    let outcome = round::tell(settings, &scan.seen(settings), b"")?;
    match damage {
        Some(damage) if outcome != Outcome::OutputClosed => {
            let _ = writeln!(io::stderr(), "tcptrace: the capture is not all there: {damage}");
            Ok(Outcome::Gaps)
        }
        _ => Ok(outcome),
    }
}

/// What is wanted of the last scan, and why there may be a later one that cannot be read.
pub(crate) fn last_scan<R: Read>(
    mut reader: Reader<R>,
    settings: &Settings,
) -> Result<(Recorded, Option<Damage>), Error> {
    let clock = reader.header().clock;
    let mut last = None;
    let damage = loop {
        match reader.next_input() {
            Ok(Some(Input::Scanned(scan))) => last = Some(scan),
            Ok(Some(_)) => {}
            Ok(None) => break None,
            Err(damage) => break Some(damage),
        }
    };
    let HostScan { start_ns, end_ns, sockets, .. } = *last.ok_or(Error::NoScan)?;
    let mut scan = sockets.map_err(Error::Failed)?;
    scan.narrow(&settings.wanted);
    Ok((Recorded { scan, start_ns, end_ns, clock }, damage))
}
