//! Outputs: each file turns records into bytes of one format.

mod cached;
mod clock;
mod columns;
mod csv;
mod degraded;
mod fields;
pub mod findings;
mod half_open;
mod json;
mod life;
mod put;
mod schema;
pub mod sockets;
mod text;
mod wide;

pub use fields::schemas;

use crate::{
    model::{clock::Clock, view::View},
    pipeline::Sink,
};

/// Formats that `-o` offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Columns for people.
    #[default]
    Text,
    /// More columns: namespace, context, cookie, final figures.
    Wide,
    /// One JSON object a line; see docs/output.schema.json.
    Json,
    /// Comma-separated values with a header line.
    Csv,
}

/// The time column of formats for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeColumn {
    /// Local time with milliseconds.
    #[default]
    Millis,
    /// Local time in whole seconds, as bcc's `-T`.
    Seconds,
    /// Seconds since the start of the trace, as bcc's `-t`.
    Relative,
}

/// Options of the formats.
#[derive(Clone, Debug)]
pub struct Style {
    /// The format.
    pub format: Format,
    /// Which records become lines.
    pub view: View,
    /// Time column of text and wide.
    pub time: TimeColumn,
    /// Colour in text and wide.
    pub colour: bool,
    /// The relation from monotonic time to the time of day.
    pub clock: Clock,
    /// Time zone of text and wide.
    pub zone: jiff::tz::TimeZone,
    /// When the trace started, nanoseconds of `CLOCK_MONOTONIC`.
    pub start_ns: u64,
}

/// The sink for a style.
pub fn sink(style: &Style) -> Box<dyn Sink> {
    match (style.view, style.format) {
        (View::Transitions, Format::Text) => Box::new(text::Text::new(style, false)),
        (View::Transitions, Format::Wide) => Box::new(text::Text::new(style, true)),
        (View::Transitions, Format::Json) => Box::new(json::Json::new(style.clock)),
        (View::Transitions, Format::Csv) => Box::new(csv::Csv::new(style.clock)),
        (View::Connections, Format::Text) => Box::new(life::Text::new(style, false)),
        (View::Connections, Format::Wide) => Box::new(life::Text::new(style, true)),
        (View::Connections, Format::Json) => Box::new(life::Json::new(style.clock)),
        (View::Connections, Format::Csv) => Box::new(life::Csv::new(style.clock)),
    }
}
