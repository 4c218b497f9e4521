//! `tcptrace doctor`: checks which parts of tcptrace work on this host, why others do not, and what tracing costs here.
//!
//! `facts` reads the host, `hooks` tries both hooks, `holders` tries the program that finds holders, `features` and
//! `checks` make rows of the results, and `measure` measures the cost. Nothing stays on the host after it ends.

mod checks;
mod facts;
mod features;
mod half_open;
mod holders;
mod hooks;
mod measure;
mod row;
mod text;

#[cfg(test)]
mod tests;

use std::path::Path;

use serde::Serialize;
use tcptrace_core::model::{hooks::Hook, text::Escaped};

pub use measure::{Cost, MeasureError};
pub use row::{Group, Row, Status};
pub use text::render;

/// Version of the JSON form.
const SCHEMA: u32 = 1;

/// The report; its JSON is described by `docs/doctor.schema.json`.
#[derive(Debug, Serialize)]
pub struct Report {
    schema: u32,
    /// Whether `tcptrace trace` would trace.
    pub possible: bool,
    /// The hook that `tcptrace trace` would use.
    pub hook: Option<Hook>,
    /// A sentence: the outcome, and what to do when tracing is not possible.
    pub verdict: String,
    /// One row for each hook, feature and fact.
    pub rows: Vec<Row>,
    /// The cost of the program on this host, when that was requested and could be measured.
    pub cost: Option<Cost>,
    /// The reason why it could not be measured, when that was requested.
    pub cost_error: Option<String>,
}

/// Examines this host. Call it before starting other threads: where tracefs is not mounted, this process gets
/// a mount of its own.
pub fn run(measure: bool) -> Report {
    // Reads the host first: the tries of the hooks mount tracefs for this process.
    let facts = facts::Facts::gather(Path::new("/"));
    let tried = hooks::try_all();
    let hook = tried.iter().find(|tried| tried.outcome.is_ok()).map(|tried| tried.hook);
    let mut rows = hooks::rows(&tried);
    rows.extend(features::rows(&tried, &facts));
    rows.extend(checks::rows(&facts, &tried));
    rows.push(holders::row(&holders::attempt()));
    rows.push(half_open::row(hook));
    let (cost, cost_error) = match hook {
        _ if !measure => (None, None),
        None => (None, Some("tracing is not possible".to_owned())),
        Some(hook) => match measure::run(hook) {
            Ok(cost) => (Some(cost), None),
            Err(error) => (None, Some(Escaped(chain(&error).as_bytes()).to_string())),
        },
    };
    let verdict = verdict(hook, &tried, &rows);
    Report { schema: SCHEMA, possible: hook.is_some(), hook, verdict, rows, cost, cost_error }
}

/// The outcome in a sentence.
fn verdict(hook: Option<Hook>, tried: &[hooks::Tried], rows: &[Row]) -> String {
    let Some(hook) = hook else {
        let mut errors: Vec<String> = tried.iter().filter_map(hooks::Tried::error).collect();
        // A cause that stops both hooks is printed once.
        errors.dedup();
        let causes = Escaped(errors.join("; ").as_bytes()).to_string();
        return format!("Tracing is not possible here: {causes}");
    };
    let lesser: Vec<&str> = rows
        .iter()
        .filter(|row| row.group != Group::Host && row.status != Status::Ok)
        .map(|row| row.name)
        .collect();
    if lesser.is_empty() {
        format!("Tracing is possible here, with all features (hook {hook}).")
    } else {
        format!("Tracing is possible here (hook {hook}), but not with everything; see {}.", lesser.join(", "))
    }
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
