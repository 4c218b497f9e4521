//! Texts of parts of lines that repeat: most events are of few processes.

use super::fields::values::Texts;
use crate::model::{
    event::{Device, Event},
    flow::Flow,
    owner::Owner,
};

/// The number of texts that are remembered.
const PLACES: usize = 64;

/// The texts of values that were shown lately. The number of a value gives its place. The next value with the same place
/// takes it over.
pub(super) struct Cache<T, X = Texts> {
    places: Vec<(Option<T>, X)>,
}

impl<T, X: Default> Default for Cache<T, X> {
    fn default() -> Self {
        Self { places: (0..PLACES).map(|_| (None, X::default())).collect() }
    }
}

impl<T: PartialEq + Clone, X> Cache<T, X> {
    /// The text that `write` makes of this value, in place of that of another value.
    #[inline(always)]
    pub(super) fn text(&mut self, value: &T, number: u32, write: impl FnOnce(&mut X)) -> &X {
        let (known, text) = &mut self.places[number as usize % PLACES];
        if known.as_ref() != Some(value) {
            write(text);
            *known = Some(value.clone());
        }
        text
    }
}

/// The connection of a transition. Most transitions are of a connection that had another one a moment ago.
#[derive(Clone, PartialEq)]
pub(super) struct Whose {
    cookie: u64,
    flow: Flow,
    device: Option<Device>,
}

impl Whose {
    pub(super) fn of(event: &Event) -> Self {
        Self { cookie: event.cookie, flow: event.flow, device: event.device.clone() }
    }

    /// The number that gives its place: on loopback, the two ends of a connection take turns.
    pub(super) fn number(&self) -> u32 {
        u32::from(self.flow.local.port) * 3 + u32::from(self.flow.remote.port)
    }
}

impl Owner {
    /// The number that gives its place: a process may be known in several ways.
    pub(super) fn number(&self) -> u32 {
        self.pid.wrapping_mul(4) + self.provenance as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_written_once() {
        let mut cache = Cache::default();
        let mut written = 0;
        for value in ["a", "a", "b", "a"] {
            let text: &String = cache.text(&value, 7, |text| {
                written += 1;
                value.clone_into(text);
            });
            assert_eq!(text, value);
        }
        assert_eq!(written, 3);
    }
}
