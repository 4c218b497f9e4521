//! Scans of the host, once or at an interval, and their output.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use tcptrace_core::{
    model::{clock_watch::ClockWatch, scan::order},
    output::sockets::{self, Seen, Style},
};
use tokio::time::{MissedTickBehavior, interval};

use super::{Error, Outcome, Settings};
use crate::{
    scan::host::Scanner,
    sys::{self, clock::monotonic_ns, signals::Ending},
};

/// Bytes of output that are written together.
const CHUNK: usize = 64 << 10;

/// Moves the cursor to the upper left corner, and clears everything below.
const CLEAR: &[u8] = b"\x1b[H\x1b[J";

/// Scans once.
pub(super) fn show(settings: &Settings) -> Result<Outcome, Error> {
    round(settings, &mut scanner(settings), b"")
}

/// Scans every `period`, until a signal comes.
pub(super) fn watch(settings: &Settings, period: Duration) -> Result<Outcome, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Setup)?;
    runtime.block_on(async {
        let mut ending = Ending::install().map_err(Error::Setup)?;
        let mut tick = interval(period);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut scanner = scanner(settings);
        let mut outcome = Outcome::Complete;
        let mut before = if io::stdout().is_terminal() { CLEAR } else { b"" };
        loop {
            tokio::select! {
                biased;
                () = ending.any() => return Ok(outcome),
                _ = tick.tick() => match round(settings, &mut scanner, before)? {
                    Outcome::OutputClosed => return Ok(Outcome::OutputClosed),
                    Outcome::Gaps => outcome = Outcome::Gaps,
                    Outcome::Complete => {}
                },
            }
            if before.is_empty() && sockets::is_for_people(settings.format) {
                before = b"\n";
            }
        }
    })
}

fn scanner(settings: &Settings) -> Scanner {
    Scanner::new(settings.netns.clone())
}

/// Scans, and writes the result.
fn round(settings: &Settings, scanner: &mut Scanner, before: &[u8]) -> Result<Outcome, Error> {
    let start_ns = monotonic_ns();
    let scan = scanner.scan(settings.wanted.asked_states(), true)?;
    let mut scan = scanner.select(scan, &settings.wanted);
    order::sort(&mut scan.sockets);
    let end_ns = monotonic_ns();
    let seen = Seen {
        scan: &scan,
        by: settings.by,
        start_ns,
        end_ns,
        clock: ClockWatch::new(&sys::clock::read()).clock(),
    };
    tell(settings, &seen, before)
}

/// Writes a scan: `before` and the table on standard output, the sum and the gaps on standard error.
pub(super) fn tell(settings: &Settings, seen: &Seen<'_>, before: &[u8]) -> Result<Outcome, Error> {
    match write(settings, seen, before) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Outcome::OutputClosed),
        written => written.map_err(Error::Output)?,
    }
    let scan = seen.scan;
    let _ = writeln!(io::stderr(), "{}", sockets::sentence(scan, settings.by));
    if scan.gaps.is_empty() {
        return Ok(Outcome::Complete);
    }
    let advice = if nix::unistd::geteuid().is_root() { "" } else { "; root sees more" };
    let _ = writeln!(io::stderr(), "tcptrace: not seen: {}{advice}", scan.gaps);
    Ok(Outcome::Gaps)
}

fn write(settings: &Settings, seen: &Seen<'_>, before: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let mut out = before.to_vec();
    let style = Style { format: settings.format, colour: settings.colour };
    sockets::render(style, seen, &mut out, |out| {
        if out.len() >= CHUNK {
            stdout.write_all(out)?;
            out.clear();
        }
        Ok(())
    })?;
    stdout.write_all(&out)?;
    stdout.flush()
}
