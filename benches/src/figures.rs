//! The figures that tcptrace is held to, each with what it should be.

use std::fmt::Write as _;

/// What a figure should be.
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

/// One of them.
pub(crate) struct Figure {
    /// What it is of.
    pub(crate) name: String,
    pub(crate) target: Target,
    /// Behind the numbers, such as ` ns`.
    pub(crate) unit: &'static str,
    /// Behind the decimal point.
    pub(crate) digits: usize,
    /// `None` when it could not be measured.
    pub(crate) value: Option<f64>,
    /// What else there is to say of it.
    pub(crate) note: String,
}

/// The table of them, as Markdown.
pub(crate) fn table(figures: &[Figure]) -> String {
    let mut text = "| Figure | Target | Measured | | How far it goes |\n|---|---:|---:|---|---|\n".to_owned();
    for Figure { name, target, unit, digits, value, note } in figures {
        let (sign, limit) = match target {
            Target::AtMost(most) => ("≤", most),
            Target::AtLeast(least) => ("≥", least),
        };
        let shown = value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}{unit}"));
        let judged = match value {
            Some(value) if target.is_met(*value) => "met",
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
    fn each_is_judged() {
        let figure = |target, value| Figure {
            name: "a".to_owned(),
            target,
            unit: " ns",
            digits: 1,
            value,
            note: String::new(),
        };
        let text = table(&[
            figure(Target::AtMost(130.0), Some(130.0)),
            figure(Target::AtLeast(0.97), Some(0.96)),
            figure(Target::AtLeast(0.97), None),
        ]);
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "| a | ≤ 130 ns | 130.0 ns | met |  |",
                "| a | ≥ 0.97 ns | 1.0 ns | missed |  |",
                "| a | ≥ 0.97 ns | - | not measured |  |",
            ]
        );
    }
}
