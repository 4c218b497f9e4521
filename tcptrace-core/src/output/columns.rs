//! The columns that formats for people share: time, owner and ends, each of a width.

use std::io::{self, Write as _};

use tcptrace_common::STATE_NAMES;

use super::{Style, TimeColumn, put};
use crate::model::{
    clock::{Clock, TimeFormat},
    event::Event,
    flow::Endpoint,
    owner::{Owner, Provenance},
    state::State,
};

/// Width of an owner such as `~python3.13[123456]`.
pub(super) const OWNER: usize = 24;
/// Width of `255.255.255.255:65535`.
pub(super) const ADDRESS: usize = 21;
/// Width of a state.
pub(super) const STATE: usize = 11;
/// Width of a span of time.
pub(super) const SPAN: usize = 8;

/// The first column, which has the time.
pub(super) struct Time {
    shown: TimeColumn,
    start_ns: u64,
    format: TimeFormat,
}

impl Time {
    pub(super) fn new(style: &Style) -> Self {
        let format = TimeFormat::time_of_day(style.clock, style.zone.clone());
        Self { shown: style.time, start_ns: style.start_ns, format }
    }

    /// Sets the relation that times use from now on.
    pub(super) fn set_clock(&mut self, clock: Clock) {
        self.format.set_clock(clock);
    }

    /// Appends its header.
    pub(super) fn header(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(if self.shown == TimeColumn::Relative { b"TIME(s)" } else { b"TIME" });
        end(out, start, self.width());
    }

    /// Appends a monotonic time.
    pub(super) fn put(&mut self, ktime_ns: u64, out: &mut Vec<u8>) -> io::Result<()> {
        let start = out.len();
        if self.shown == TimeColumn::Relative {
            let since = ktime_ns.saturating_sub(self.start_ns);
            write!(out, "{}.{:06}", since / 1_000_000_000, since % 1_000_000_000 / 1_000)?;
        } else {
            let shown = self.format.format(ktime_ns);
            let whole = if self.shown == TimeColumn::Seconds { shown.split('.').next() } else { None };
            out.extend(whole.unwrap_or(shown).as_bytes());
        }
        end(out, start, self.width());
        Ok(())
    }

    fn width(&self) -> usize {
        if self.shown == TimeColumn::Seconds { 8 } else { 12 }
    }
}

/// Appends a state's name, or its number, at the right or at the left of its column.
pub(super) fn state(out: &mut Vec<u8>, state: State, side: Side) {
    let known = state.name().and_then(|_| STATES.get(usize::from(state.0)));
    match (side, known) {
        (Side::Right, Some((right, _))) => out.extend_from_slice(right),
        (Side::Left, Some((_, left))) => out.extend_from_slice(left),
        (side, None) => {
            let start = out.len();
            put::state(out, state);
            match side {
                Side::Right => put::align_right(out, start, STATE),
                Side::Left => put::pad(out, start, STATE),
            }
        }
    }
}

/// The side of its column at which a word stands.
#[derive(Clone, Copy)]
pub(super) enum Side {
    Left,
    Right,
}

/// The names of full sockets' states, at the right and at the left of their column. Each line has two of them, and a copy of
/// known length is fast.
const STATES: [([u8; STATE], [u8; STATE]); 12] = {
    let mut columns = [([b' '; STATE], [b' '; STATE]); 12];
    let mut number = 1;
    while number < columns.len() {
        let name = STATE_NAMES[number].as_bytes();
        let (right, left) = &mut columns[number];
        right.split_at_mut(STATE - name.len()).1.copy_from_slice(name);
        left.split_at_mut(name.len()).0.copy_from_slice(name);
        number += 1;
    }
    columns
};

/// Ends a column that began at `start`: fills up its width, and adds one space.
pub(super) fn end(out: &mut Vec<u8>, start: usize, width: usize) {
    put::pad(out, start, width);
    out.push(b' ');
}

/// Appends `nginx[812]`; `?[812]` when its name is not known; `~nginx[812]` when inherited from the listener;
/// `nginx[812] +3` when other processes hold the socket as well; `-` when not known.
pub(super) fn owner(out: &mut Vec<u8>, owner: Option<&Owner>) {
    let start = out.len();
    match owner {
        None => out.push(b'-'),
        Some(owner) => {
            if owner.provenance == Provenance::Inherited {
                out.push(b'~');
            }
            match owner.name() {
                Some(name) => put::name(out, name),
                None => out.push(b'?'),
            }
            out.push(b'[');
            put::number(out, owner.pid);
            out.push(b']');
            if let Some(others) = &owner.others {
                out.extend_from_slice(b" +");
                put::number(out, others.len());
            }
        }
    }
    end(out, start, OWNER);
}

/// Address and port of the local end, in a column, with the device that the socket is bound to.
pub(super) fn local(out: &mut Vec<u8>, event: &Event) {
    let start = out.len();
    let device = event.device.as_ref().map(|device| (device.ifindex, device.name.as_deref()));
    put::endpoint_on(out, event.flow.local, device);
    end(out, start, ADDRESS);
}

/// Address and port, in a column.
pub(super) fn endpoint(out: &mut Vec<u8>, endpoint: Endpoint) {
    let start = out.len();
    put::endpoint(out, endpoint);
    end(out, start, ADDRESS);
}

/// Appends a span of time, at the right; `>=` when it may be longer, `-` when nothing is known.
pub(super) fn span(out: &mut Vec<u8>, ns: Option<u64>, at_least_ns: Option<u64>) {
    let start = out.len();
    match (ns, at_least_ns) {
        (Some(ns), _) => put::span(out, ns),
        (None, Some(ns)) => {
            out.extend_from_slice(b">=");
            put::span(out, ns);
        }
        (None, None) => out.push(b'-'),
    }
    put::align_right(out, start, SPAN);
}
