//! The kinds of messages: the inputs of a trace.

use super::{Bytes, Malformed, Wire, put};
use crate::model::{input::Input, socket_dump::SocketDump};

const ENTRY: u64 = 0;
const RELEASED: u64 = 1;
const PROCESS: u64 = 2;
const NAMESPACE: u64 = 3;
const FIRST_DUMP: u64 = 4;
const DUMP_BEGINS: u64 = 5;
const DUMPED: u64 = 6;
const POLL_BEGINS: u64 = 7;
const POLLED: u64 = 8;
const SCANNED: u64 = 9;
const CHECKED: u64 = 10;
const COUNTED: u64 = 11;
const ENDED: u64 = 12;
const EXITED: u64 = 13;
const DEVICE: u64 = 14;
const CLOCK: u64 = 15;

/// The names of the kinds in versions before 5.
const NAMES: [(&[u8], u64); 15] = [
    (b"Entry", ENTRY),
    (b"Released", RELEASED),
    (b"Process", PROCESS),
    (b"Namespace", NAMESPACE),
    (b"First", FIRST_DUMP),
    (b"ListOrdered", DUMP_BEGINS),
    (b"Listed", DUMPED),
    (b"PollBegins", POLL_BEGINS),
    (b"Polled", POLLED),
    (b"Looked", SCANNED),
    (b"Checked", CHECKED),
    (b"Counted", COUNTED),
    (b"Ended", ENDED),
    (b"Exited", EXITED),
    (b"Device", DEVICE),
];

pub(super) fn write(input: &Input<'_>, out: &mut Vec<u8>) {
    match input {
        Input::Entry(entry) => {
            head(ENTRY, out);
            put::bytes(out, entry);
        }
        Input::Released(until_ns) => message(RELEASED, until_ns, out),
        Input::Process(answer) => message(PROCESS, answer, out),
        Input::Namespace(answer) => message(NAMESPACE, answer, out),
        Input::FirstDump(dump) => message(FIRST_DUMP, dump, out),
        Input::DumpBegins => put::uint(out, DUMP_BEGINS),
        Input::Dumped { dump, is_first } => {
            head(DUMPED, out);
            put::array(out, 2);
            dump.write(out);
            is_first.write(out);
        }
        Input::PollBegins => put::uint(out, POLL_BEGINS),
        Input::Polled(poll) => message(POLLED, poll, out),
        Input::Scanned(scan) => message(SCANNED, scan, out),
        Input::Checked(checked) => message(CHECKED, checked, out),
        Input::Counted(counted) => message(COUNTED, counted, out),
        Input::Ended(ended) => message(ENDED, ended, out),
        Input::Exited(exit) => message(EXITED, exit, out),
        Input::Device(answer) => message(DEVICE, answer, out),
        Input::Clock(change) => message(CLOCK, change, out),
        // The kind of the input is no longer known.
        Input::Unknown => put::uint(out, u64::MAX),
    }
}

fn message(kind: u64, value: &impl Wire, out: &mut Vec<u8>) {
    head(kind, out);
    value.write(out);
}

fn head(kind: u64, out: &mut Vec<u8>) {
    put::map(out, 1);
    put::uint(out, kind);
}

pub(super) fn read<'a>(input: &mut Bytes<'a>) -> Result<Input<'a>, Malformed> {
    let (kind, has_value) = input.choice(&NAMES)?;
    // Most messages are entries. The code for the others is elsewhere, so that it does not slow down this path.
    if (kind, has_value) == (ENTRY, true) {
        return input.bytes().map(Input::Entry);
    }
    read_other(kind, has_value, input)
}

fn read_other<'a>(kind: u64, has_value: bool, input: &mut Bytes<'a>) -> Result<Input<'a>, Malformed> {
    Ok(match (kind, has_value) {
        (DUMP_BEGINS, _) => Input::DumpBegins,
        (POLL_BEGINS, _) => Input::PollBegins,
        (_, false) if kind <= CLOCK => return Err(Malformed::Because("it has no content")),
        (RELEASED, _) => Input::Released(Wire::read(input)?),
        (PROCESS, _) => Input::Process(Wire::read(input)?),
        (NAMESPACE, _) => Input::Namespace(Wire::read(input)?),
        (FIRST_DUMP, _) => Input::FirstDump(Wire::read(input)?),
        (DUMPED, _) => dumped(input)?,
        (POLLED, _) => Input::Polled(Wire::read(input)?),
        (SCANNED, _) => Input::Scanned(Wire::read(input)?),
        (CHECKED, _) => Input::Checked(Wire::read(input)?),
        (COUNTED, _) => Input::Counted(Wire::read(input)?),
        (ENDED, _) => Input::Ended(Wire::read(input)?),
        (EXITED, _) => Input::Exited(Wire::read(input)?),
        (DEVICE, _) => Input::Device(Wire::read(input)?),
        (CLOCK, _) => Input::Clock(Wire::read(input)?),
        _ => return Err(Malformed::Unknown),
    })
}

fn dumped<'a>(input: &mut Bytes<'a>) -> Result<Input<'a>, Malformed> {
    let (mut dump, mut is_first) = (SocketDump::absent(), false);
    input.fields(|number, input| {
        match number {
            0 => dump = Wire::read(input)?,
            1 => is_first = Wire::read(input)?,
            _ => input.skip()?,
        }
        Ok(())
    })?;
    Ok(Input::Dumped { dump, is_first })
}
