//! The one way into the pure half of a trace: every input passes here, on its way to the core and to the recorder.

use tcptrace_core::{model::input::Input, pipeline::Core};

use super::log::Log;

/// The core, and the copy of its inputs.
pub(super) struct Entrance {
    pub(super) core: Core,
    pub(super) log: Log,
}

impl Entrance {
    /// Records an input, and gives it to the core. [`Core::apply`] asserts that what was released before has been
    /// taken.
    pub(super) fn feed(&mut self, input: Input<'_>) {
        self.log.put(&input);
        self.core.apply(input);
    }

    /// Records the last release, once all records that it made ready have been taken.
    pub(super) fn settle(&mut self) {
        let Self { core, log } = self;
        if core.is_drained() {
            log.released(core.taken());
        }
    }
}
