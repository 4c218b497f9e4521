//! Sinks: output formats that take the records of a trace.

use std::io;

use crate::model::{record::Record, transition::Transition};

/// An output format. It only reads records, and calls no other stage.
pub trait Sink: Send {
    /// Appends the header, which comes before the first record.
    ///
    /// # Errors
    /// When the header cannot be formatted.
    fn header(&mut self, out: &mut Vec<u8>) -> io::Result<()>;

    /// Appends a transition. There are millions of transitions, so they come without a [`Record`] around them.
    ///
    /// # Errors
    /// When it cannot be formatted.
    fn transition(&mut self, transition: &Transition, out: &mut Vec<u8>) -> io::Result<()>;

    /// Appends a record. It appends a transition as [`Self::transition`] does.
    ///
    /// # Errors
    /// When the record cannot be formatted.
    fn write(&mut self, record: &Record, out: &mut Vec<u8>) -> io::Result<()>;
}
