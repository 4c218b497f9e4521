//! The table of a comparison: each figure of both tools, their ratio, and whether it meets its target.

use std::fmt::Write as _;

use crate::statistics::{median, with_minimum};

/// A figure, and its target for this checkout.
#[derive(Clone, Debug)]
pub(super) struct Figure {
    /// The name of the measurement.
    pub(super) name: String,
    /// The unit, shown after the numbers.
    pub(super) unit: &'static str,
    /// Digits after the decimal point.
    pub(super) digits: usize,
    /// The largest ratio of the medians that meets the target.
    pub(super) target: f64,
}

/// The measurements of a figure: those of the older tool, and those of this checkout's. They are empty if the figure
/// could not be measured.
pub(super) type Samples = [Vec<f64>; 2];

/// The result of comparing a figure with its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Met,
    Missed,
    NotMeasured,
}

impl Figure {
    /// This checkout's median, divided by the older tool's.
    fn ratio([older, newer]: &Samples) -> Option<f64> {
        Some(median(newer)? / median(older)?).filter(|ratio| ratio.is_finite())
    }

    fn verdict(&self, samples: &Samples) -> Verdict {
        match Self::ratio(samples) {
            Some(ratio) if ratio <= self.target => Verdict::Met,
            Some(_) => Verdict::Missed,
            None => Verdict::NotMeasured,
        }
    }
}

/// The figures with their measurements.
#[derive(Debug, Default)]
pub(crate) struct Table(Vec<(Figure, Samples)>);

impl Table {
    pub(super) fn add(&mut self, figure: Figure, samples: Samples) {
        self.0.push((figure, samples));
    }

    /// The number of figures that missed their target or could not be measured.
    pub(crate) fn faults(&self) -> usize {
        self.0.iter().filter(|(figure, samples)| figure.verdict(samples) != Verdict::Met).count()
    }

    /// The number of figures.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The table in Markdown.
    pub(crate) fn render(&self) -> String {
        let mut text = "| Figure | Unit | Older, median (min) | This checkout, median (min) | Ratio of medians | Target | |\n\
                        |---|---|---:|---:|---:|---:|---|\n"
            .to_owned();
        for (figure, samples) in &self.0 {
            let Figure { name, unit, digits, target } = figure;
            let [older, newer] = samples.each_ref().map(|values| with_minimum(values, *digits));
            let ratio = Figure::ratio(samples).map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.3}"));
            let word = match figure.verdict(samples) {
                Verdict::Met => "met",
                Verdict::Missed => "missed",
                Verdict::NotMeasured => "not measured",
            };
            let _ = writeln!(text, "| {name} | {unit} | {older} | {newer} | {ratio} | ≤ {target} | {word} |");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(older: &[f64], newer: &[f64]) -> Table {
        let figure = Figure { name: "kernel".to_owned(), unit: "ns", digits: 0, target: 1.02 };
        let mut table = Table::default();
        table.add(figure, [older.to_vec(), newer.to_vec()]);
        table
    }

    fn last_line(table: &Table) -> String {
        table.render().lines().last().unwrap_or_default().to_owned()
    }

    #[test]
    fn the_medians_decide_and_the_minima_stand_beside_them() {
        // The minimum would meet the target.
        let missed = row(&[100.0, 90.0, 110.0], &[103.0, 50.0, 300.0]);
        assert_eq!(last_line(&missed), "| kernel | ns | 100 (90) | 103 (50) | 1.030 | ≤ 1.02 | missed |");
        assert_eq!((missed.faults(), missed.len()), (1, 1));
        let met = row(&[100.0], &[102.0]);
        assert_eq!(last_line(&met), "| kernel | ns | 100 (100) | 102 (102) | 1.020 | ≤ 1.02 | met |");
        assert_eq!(met.faults(), 0);
    }

    #[test]
    fn what_was_not_measured_is_a_fault() {
        for (older, newer) in [(&[][..], &[][..]), (&[0.0], &[0.0]), (&[1.0], &[])] {
            let table = row(older, newer);
            assert!(last_line(&table).ends_with("| - | ≤ 1.02 | not measured |"), "{table:?}");
            assert_eq!(table.faults(), 1);
        }
    }
}
