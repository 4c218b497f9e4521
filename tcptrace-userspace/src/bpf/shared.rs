//! Words that both sides write while the programs run.

use aya::{
    Ebpf,
    maps::{Array, MapData},
};
use tcptrace_common::Level;

use super::{
    Error,
    object::{map, object},
};

type Word = Array<MapData, u32>;

/// The words, each in a section of the object by its name.
pub(super) struct Shared {
    level: Word,
    asleep: Word,
}

impl Shared {
    /// # Errors
    /// [`Error::Object`]: the object lacks a word.
    pub(super) fn new(ebpf: &mut Ebpf) -> Result<Self, Error> {
        let mut word = |section| Word::try_from(map(ebpf, section)?).map_err(object);
        Ok(Self { level: word(".bss.level")?, asleep: word(".bss.asleep")? })
    }

    /// The level of sampling. The kernel side may raise it at any time.
    ///
    /// # Errors
    /// [`Error::Counters`].
    pub(super) fn level(&self) -> Result<Level, Error> {
        self.level.get(&0, 0).map(Level).map_err(|error| Error::Counters(error.to_string()))
    }

    /// # Errors
    /// As above.
    pub(super) fn set_level(&mut self, level: Level) -> Result<(), Error> {
        set(&mut self.level, level.0)
    }

    /// Has the next record wake the reader, which then is asleep no more.
    ///
    /// # Errors
    /// As above.
    pub(super) fn fall_asleep(&mut self) -> Result<(), Error> {
        set(&mut self.asleep, 1)
    }
}

fn set(word: &mut Word, value: u32) -> Result<(), Error> {
    word.set(0, value, 0).map_err(|error| Error::Counters(error.to_string()))
}
