//! Prints how each connection of a capture ended, on any platform and without root.
//!
//! `cargo run --example read_capture -- incident.capture`

use std::{error::Error, io, path::PathBuf};

use tcptrace_core::{
    capture::{Reader, replay},
    model::{record::Record, transition::Transition, view::View},
    pipeline::{Options, Sink},
};

/// An output of our own: bytes of records.
struct Ends;

impl Sink for Ends {
    fn header(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        out.extend_from_slice(b"LOCAL -> REMOTE: CAUSE\n");
        Ok(())
    }

    fn transition(&mut self, end: &Transition, out: &mut Vec<u8>) -> io::Result<()> {
        use io::Write as _;
        let Some(closing) = &end.closing else { return Ok(()) };
        let (event, cause) = (&end.event, closing.cause.map_or("unknown", |cause| cause.name()));
        writeln!(out, "{} -> {}: {cause}", event.flow.local, event.flow.remote)
    }

    fn write(&mut self, _: &Record, _: &mut Vec<u8>) -> io::Result<()> {
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).map(PathBuf::from).ok_or("usage: read_capture FILE")?;
    let options = Options { view: View::Connections, ..Options::default() };
    let reader = Reader::open(&path)?;
    let replayed = replay(reader, options, None, |_| Some(Box::new(Ends)), &mut io::stdout().lock())?;
    if let Some(damage) = replayed.damage {
        eprintln!("the capture is not complete: {damage}");
    }
    Ok(())
}
