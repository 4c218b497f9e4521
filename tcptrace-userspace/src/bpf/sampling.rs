//! How much the kernel side leaves out, which both sides set.

use aya::{
    Ebpf,
    maps::{Array, MapData},
};
use tcptrace_common::Level;

use super::{
    Error,
    object::{map, object},
};

/// The section of the object that the level is in.
const SECTION: &str = ".bss.level";

/// The present level, in the kernel.
pub(super) struct Sampling(Array<MapData, u32>);

impl Sampling {
    /// # Errors
    /// [`Error::Object`]: the object lacks it.
    pub(super) fn new(ebpf: &mut Ebpf) -> Result<Self, Error> {
        Array::try_from(map(ebpf, SECTION)?).map(Self).map_err(object)
    }

    /// The level. The kernel side may raise it at any time.
    ///
    /// # Errors
    /// [`Error::Counters`].
    pub(super) fn level(&self) -> Result<Level, Error> {
        self.0.get(&0, 0).map(Level).map_err(|error| Error::Counters(error.to_string()))
    }

    /// # Errors
    /// As above.
    pub(super) fn set(&mut self, level: Level) -> Result<(), Error> {
        self.0.set(0, level.0, 0).map_err(|error| Error::Counters(error.to_string()))
    }
}
