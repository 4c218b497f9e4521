//! The table for people.

use std::io::{self, Write as _};

use anstyle::{AnsiColor, Style};

use super::{Cost, Group, Report, Row, Status};

/// Widths: `missing`, and the longest name.
const STATUS: usize = 8;
const NAME: usize = 17;

/// Writes a report: the outcome in the first line, then a line for each row. Rows that are not ok have their meaning
/// below.
///
/// # Errors
/// Never, for memory.
pub fn render(report: &Report, colour: bool, out: &mut Vec<u8>) -> io::Result<()> {
    let paint = |style: Style| if colour { style } else { Style::new() };
    let verdict = paint(if report.possible { Style::new().bold() } else { style(Status::Missing).bold() });
    writeln!(out, "{verdict}{}{verdict:#}", report.verdict)?;
    for (group, title) in
        [(Group::Hook, "Hooks"), (Group::Feature, "Features of the hook in use"), (Group::Host, "Host")]
    {
        writeln!(out, "\n{title}")?;
        for row in report.rows.iter().filter(|row| row.group == group) {
            line(row, paint(style(row.status)), out)?;
        }
    }
    if let Some(cost) = &report.cost {
        writeln!(out, "\n{}", sentence(cost))?;
    }
    if let Some(error) = &report.cost_error {
        writeln!(out, "\nThe cost could not be measured: {error}")?;
    }
    Ok(())
}

fn line(row: &Row, style: Style, out: &mut Vec<u8>) -> io::Result<()> {
    writeln!(out, "  {style}{:<STATUS$}{style:#} {:<NAME$} {}", row.status, row.name, row.found)?;
    if matches!(row.status, Status::Ok | Status::Unknown) {
        return Ok(());
    }
    for (label, text) in [("means", row.consequence), ("instead", row.instead)] {
        if let Some(text) = text {
            writeln!(out, "  {:<STATUS$} {:<NAME$}   {label}: {text}", "", "")?;
        }
    }
    Ok(())
}

fn style(status: Status) -> Style {
    match status {
        Status::Ok => AnsiColor::Green.on_default(),
        Status::Limited => AnsiColor::Yellow.on_default(),
        Status::Missing => AnsiColor::Red.on_default(),
        Status::Unknown => Style::new().dimmed(),
    }
}

fn sentence(cost: &Cost) -> String {
    let Cost { hook, transitions, ns_per_transition: all, .. } = cost;
    let basis = format!("hook {hook}, {transitions} transitions measured");
    match (cost.above_empty_ns, cost.empty_ns) {
        (Some(above), Some(empty)) => format!(
            "Cost here: {above} ns of kernel time per transition ({all} in all, of which an empty program takes \
             {empty}; {basis})."
        ),
        _ => format!(
            "Cost here: at most {all} ns of kernel time per transition (the kernel's own statistics included; \
             {basis})."
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tcptrace_core::model::hooks::Hook;

    #[test]
    fn what_an_empty_program_takes_is_told_apart_where_it_is_known() {
        let cost = Cost {
            hook: Hook::TpBtf,
            ns_per_transition: 180,
            empty_ns: Some(54),
            above_empty_ns: Some(126),
            transitions: 20_010,
        };
        let shown = sentence(&cost);
        assert!(shown.starts_with("Cost here: 126 ns ") && shown.contains("180 in all"), "{shown}");
        let shown = sentence(&Cost { empty_ns: None, above_empty_ns: None, hook: Hook::Tracepoint, ..cost });
        assert!(shown.starts_with("Cost here: at most 180 ns ") && shown.contains("tracepoint"), "{shown}");
    }
}
