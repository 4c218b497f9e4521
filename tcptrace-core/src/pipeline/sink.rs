//! Sinks: output formats that take the records of a trace.

use std::io;

use crate::model::{record::Record, transition::Transition};

/// An output format. It only reads records and never looks back.
pub trait Sink: Send {
    /// Appends what comes before the first record.
    ///
    /// # Errors
    /// When the record cannot be formatted.
    fn header(&mut self, out: &mut Vec<u8>) -> io::Result<()>;

    /// Appends a transition. There are millions of them, so they come as they are and in no record.
    ///
    /// # Errors
    /// When it cannot be formatted.
    fn transition(&mut self, transition: &Transition, out: &mut Vec<u8>) -> io::Result<()>;

    /// Appends a record, a transition as [`Self::transition`] does.
    ///
    /// # Errors
    /// When the record cannot be formatted.
    fn write(&mut self, record: &Record, out: &mut Vec<u8>) -> io::Result<()>;
}
