//! What standard error tells beside the account.

use std::io::{self, Write as _};

use tcptrace_core::{
    capture::Replayed,
    model::{text::Escaped, view::View},
};

use super::{HalfOpenBy, Settings};
use crate::{bpf, sys::host};

/// Tells that tracing has begun, and what of it cannot be seen.
pub(super) fn begun(settings: &Settings, tracer: &bpf::Tracer) {
    if let Some(by) = settings.half_open {
        announce_half_open(tracer, by);
    }
    announce(tracer, settings.view);
}

/// Tells that recording has begun, and what of it cannot be seen.
pub(super) fn recording(settings: &Settings, tracer: &bpf::Tracer) {
    announce_half_open(tracer, HalfOpenBy::Events);
    if let Some(target) = &settings.record {
        let _ = writeln!(
            io::stderr(),
            "Recording to {} ({}, ring buffer {} KiB). Ctrl-C to end.",
            target.path.display(),
            tracer.hook(),
            tracer.ring_bytes() >> 10
        );
    }
}

/// Tells what a capture lacks.
pub(super) fn replayed(settings: &Settings, replayed: &Replayed) {
    if settings.half_open.is_some() && !replayed.header.polled {
        let _ = writeln!(io::stderr(), "tcptrace: note: the capture has no half-open connections");
    }
    if let Some(damage) = &replayed.damage {
        let _ = writeln!(io::stderr(), "tcptrace: the capture is not all there: {damage}");
    }
}

/// Tells on standard error that tracing has begun: scripts wait for it.
fn announce(tracer: &bpf::Tracer, view: View) {
    let what = match view {
        View::Transitions => "TCP state transitions",
        View::Connections => "TCP connections, each reported when it has ended",
    };
    let _ = writeln!(
        io::stderr(),
        "Tracing {what} ({}, ring buffer {} KiB). Ctrl-C to end.",
        tracer.hook(),
        tracer.ring_bytes() >> 10
    );
    if let Some(why) = tracer.unowned() {
        let why = Escaped(why.as_bytes());
        let _ = writeln!(
            io::stderr(),
            "tcptrace: note: sockets that the process had before are seen once it acts on them: {why}"
        );
    }
}

/// Tells on standard error where process ids are not those that the user knows.
pub(super) fn announce_processes() {
    if host::has_own_pids() {
        let _ = writeln!(
            io::stderr(),
            "tcptrace: note: this is a pid namespace of its own, as in a container: process ids (and -p) are the \
             host's, and of a process only its name is known; with the host's (--pid=host, hostPID), all is"
        );
    }
}

/// Tells on standard error what of half-open connections cannot be seen at once.
fn announce_half_open(tracer: &bpf::Tracer, by: HalfOpenBy) {
    let Some(hooks) = tracer.half_open().filter(|_| by == HalfOpenBy::Events) else { return };
    let notes = [
        hooks.syns.as_ref().err().map(|why| format!("no SYN is seen, a poll a second has to do ({why})")),
        hooks.syns.as_ref().ok().filter(|syns| !syns.whole_host).map(|_| {
            "SYNs are seen of the cgroups that this process can see; a poll a second finds the others"
                .to_owned()
        }),
        hooks.retransmits.as_ref().err().map(|why| format!("no SYN-ACK is seen that is sent again ({why})")),
    ];
    for note in notes.into_iter().flatten() {
        let _ = writeln!(io::stderr(), "tcptrace: note: half-open connections: {}", Escaped(note.as_bytes()));
    }
}
