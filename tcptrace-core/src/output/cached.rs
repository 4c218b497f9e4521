//! Parts of lines that come again and again: of many events, most are of few processes.

use std::io;

use crate::model::{
    ends::Ends,
    event::{Device, Event},
    owner::Owner,
};

/// How many are remembered.
const PLACES: usize = 64;

/// The text of values that were put lately. Each value has one place, by a number of it, which the next one takes over.
pub(super) struct Cached<T> {
    places: Vec<(Option<T>, Vec<u8>)>,
}

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self { places: (0..PLACES).map(|_| (None, Vec::new())).collect() }
    }
}

impl<T: PartialEq + Clone> Cached<T> {
    /// Appends what `write` makes of this value.
    ///
    /// # Errors
    /// As `write`.
    pub(super) fn put(
        &mut self,
        out: &mut Vec<u8>,
        value: &T,
        number: u32,
        write: impl FnOnce(&mut Vec<u8>, &T) -> io::Result<()>,
    ) -> io::Result<()> {
        let (known, text) = &mut self.places[number as usize % PLACES];
        if known.as_ref() != Some(value) {
            // Not known before it is written.
            *known = None;
            text.clear();
            write(text, value)?;
            *known = Some(value.clone());
        }
        out.extend_from_slice(text);
        Ok(())
    }
}

/// Whose a transition is: most are of a connection that had one a moment ago.
#[derive(Clone, PartialEq)]
pub(super) struct Whose {
    cookie: u64,
    ends: Ends,
    device: Option<Device>,
}

impl Whose {
    pub(super) fn of(event: &Event) -> Self {
        Self { cookie: event.cookie, ends: Ends::of(event), device: event.device.clone() }
    }

    /// The number by which it has its place: on loopback, the two ends of a connection take turns.
    pub(super) fn number(&self) -> u32 {
        u32::from(self.ends.lport) * 3 + u32::from(self.ends.rport)
    }
}

impl Owner {
    /// The number by which it has its place: a process may be known in several ways.
    pub(super) fn number(&self) -> u32 {
        self.pid.wrapping_mul(4) + self.provenance as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_written_once() {
        let mut cached = Cached::default();
        let (mut out, mut written) = (Vec::new(), 0);
        for value in ["a", "a", "b", "a"] {
            let outcome = cached.put(&mut out, &value, 7, |out, value| {
                written += 1;
                out.extend_from_slice(value.as_bytes());
                Ok(())
            });
            outcome.expect("nothing fails");
        }
        assert_eq!((&out[..], written), (&b"aaba"[..], 3));
    }
}
