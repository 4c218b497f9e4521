//! The figures that tcptrace must meet, each with its target.

use std::fmt::Write as _;

use crate::statistics::{median, with_minimum};

/// The target of a figure.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
}

impl Target {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }
}

/// A figure.
pub(crate) struct Figure {
    /// The name of the measurement.
    pub(crate) name: String,
    pub(crate) target: Target,
    /// The unit, shown after the numbers, such as ` ns`.
    pub(crate) unit: &'static str,
    /// Digits after the decimal point.
    pub(crate) digits: usize,
    /// All measurements. The median is judged. Empty if the figure could not be measured.
    pub(crate) values: Vec<f64>,
    /// Further remarks.
    pub(crate) note: String,
}

/// The table of figures in Markdown.
pub(crate) fn table(figures: &[Figure]) -> String {
    let mut text = "| Figure | Target | Median (minimum) | | Notes |\n|---|---:|---:|---|---|\n".to_owned();
    for Figure { name, target, unit, digits, values, note } in figures {
        let (sign, limit) = match target {
            Target::AtMost(most) => ("≤", most),
            Target::AtLeast(least) => ("≥", least),
        };
        let unit_shown = if values.is_empty() { "" } else { unit };
        let shown = with_minimum(values, *digits) + unit_shown;
        let judged = match median(values) {
            Some(median) if target.is_met(median) => "met",
            Some(_) => "missed",
            None => "not measured",
        };
        let _ = writeln!(text, "| {name} | {sign} {limit}{unit} | {shown} | {judged} | {note} |");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_judged_by_its_median() {
        let figure = |target, values: &[f64]| Figure {
            name: "a".to_owned(),
            target,
            unit: " ns",
            digits: 1,
            values: values.to_vec(),
            note: String::new(),
        };
        let text = table(&[
            figure(Target::AtMost(130.0), &[130.0]),
            figure(Target::AtMost(130.0), &[131.0, 129.0, 150.0]),
            figure(Target::AtLeast(0.97), &[0.98, 0.9, 0.99]),
            figure(Target::AtLeast(0.97), &[]),
        ]);
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "| a | ≤ 130 ns | 130.0 (130.0) ns | met |  |",
                "| a | ≤ 130 ns | 131.0 (129.0) ns | missed |  |",
                "| a | ≥ 0.97 ns | 1.0 (0.9) ns | met |  |",
                "| a | ≥ 0.97 ns | - | not measured |  |",
            ]
        );
    }
}
