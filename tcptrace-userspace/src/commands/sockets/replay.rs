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
        scan::{HostScan, SocketScan, order},
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

/// Reasons why the capture may have a later scan.
#[derive(Default)]
pub(crate) struct Gaps {
    damage: Option<Damage>,
    /// Inputs that this version does not know.
    skipped: u64,
}

impl Gaps {
    /// The notes about the gaps on standard error.
    fn notes(&self) -> Vec<String> {
        let damage = self.damage.as_ref().map(|damage| format!("the capture is not all there: {damage}"));
        let skipped = (self.skipped > 0).then(|| {
            format!("{} inputs of the capture were skipped: a newer tcptrace recorded them", self.skipped)
        });
        damage.into_iter().chain(skipped).collect()
    }
}

/// Shows the last scan.
pub(super) fn show(path: &Path, settings: &Settings) -> Result<Outcome, Error> {
    let (scan, gaps) = last_scan(Reader::open(path)?, settings)?;
    let outcome = round::tell(settings, &scan.seen(settings), b"")?;
    let notes = gaps.notes();
    if notes.is_empty() || outcome == Outcome::OutputClosed {
        return Ok(outcome);
    }
    for note in notes {
        let _ = writeln!(io::stderr(), "tcptrace: {note}");
    }
    Ok(Outcome::Gaps)
}

/// The sockets of the last scan that pass the filter, and the reasons why there may be a later one.
pub(crate) fn last_scan<R: Read>(
    mut reader: Reader<R>,
    settings: &Settings,
) -> Result<(Recorded, Gaps), Error> {
    let mut clock = reader.header().clock;
    let (mut last, mut gaps) = (None, Gaps::default());
    loop {
        match reader.next_input() {
            Ok(Some(Input::Scanned(scan))) => last = Some((scan, clock)),
            Ok(Some(Input::Clock(change))) => clock = change.clock,
            Ok(Some(Input::Unknown)) => gaps.skipped += 1,
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(damage) => {
                gaps.damage = Some(damage);
                break;
            }
        }
    }
    let (scan, clock) = last.ok_or(Error::NoScan)?;
    let HostScan { start_ns, end_ns, sockets, .. } = *scan;
    let mut scan = sockets.map_err(Error::Failed)?;
    scan.narrow(&settings.wanted);
    order::sort(&mut scan.sockets);
    Ok((Recorded { scan, start_ns, end_ns, clock }, gaps))
}
