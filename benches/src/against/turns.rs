//! Two tools in turns: older, newer, older, newer.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use super::table::{Figure, Samples, Table};

/// Both tools, and their measurements so far.
pub(super) struct Turns {
    /// The older tool, and this checkout's.
    tools: [PathBuf; 2],
    pub(super) table: Table,
}

impl Turns {
    pub(super) fn new(older: &Path, newer: &Path) -> Self {
        Self { tools: [older, newer].map(Path::to_owned), table: Table::default() }
    }

    /// Measures some figures at once in this many pairs of turns, and adds them to the table. Figures that cannot be
    /// measured are added without values.
    pub(super) fn measure<const N: usize>(
        &mut self,
        figures: [Figure; N],
        pairs: u32,
        measure: impl Fn(&Path) -> Result<[f64; N]>,
    ) {
        let name = figures.first().map_or("", |figure| figure.name.as_str());
        eprintln!("measuring: {name}");
        let samples = self.samples(pairs, measure).unwrap_or_else(|error| {
            eprintln!("not measured: {name}: {error:#}");
            [const { [Vec::new(), Vec::new()] }; N]
        });
        for (figure, samples) in figures.into_iter().zip(samples) {
            self.table.add(figure, samples);
        }
    }

    /// Measures pairs of turns. The first pair fills caches and is not counted. A pair with a failed turn is left out.
    fn samples<const N: usize>(
        &self,
        pairs: u32,
        measure: impl Fn(&Path) -> Result<[f64; N]>,
    ) -> Result<[Samples; N]> {
        let mut samples = [const { [Vec::new(), Vec::new()] }; N];
        let mut failed = 0;
        for pair in 0..=pairs {
            let [older, newer] = match self.pair(&measure) {
                Ok(values) => values,
                Err(error) => {
                    failed += 1;
                    ensure!(failed * 2 <= pairs, "{error:#}");
                    eprintln!("pair {pair} is left out: {error:#}");
                    continue;
                }
            };
            if pair > 0 {
                for (index, [of_older, of_newer]) in samples.iter_mut().enumerate() {
                    of_older.push(older[index]);
                    of_newer.push(newer[index]);
                }
            }
        }
        Ok(samples)
    }

    fn pair<const N: usize>(&self, measure: impl Fn(&Path) -> Result<[f64; N]>) -> Result<[[f64; N]; 2]> {
        let [older, newer] = &self.tools;
        Ok([measure(older)?, measure(newer)?])
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn figure() -> Figure {
        Figure { name: "a".to_owned(), unit: "s", digits: 0, target: 1.0 }
    }

    #[test]
    fn the_tools_take_turns_and_the_first_pair_is_not_counted() {
        let order = RefCell::new(String::new());
        let mut turns = Turns::new(Path::new("A"), Path::new("B"));
        turns.measure([figure()], 2, |tool| {
            let mut order = order.borrow_mut();
            order.push_str(&tool.to_string_lossy());
            #[expect(clippy::cast_precision_loss, reason = "a handful")]
            Ok([order.len() as f64])
        });
        assert_eq!(*order.borrow(), "ABABAB");
        let text = turns.table.render();
        assert!(text.ends_with("| a | s | 4 (3) | 5 (4) | 1.250 | ≤ 1 | missed |\n"), "{text}");
    }

    #[test]
    fn what_fails_most_of_the_time_is_not_measured() {
        for (failing, verdict) in [(&[2][..], "met"), (&[1, 3, 5], "not measured")] {
            let turn = RefCell::new(0);
            let mut turns = Turns::new(Path::new("A"), Path::new("B"));
            turns.measure([figure()], 4, |_| {
                *turn.borrow_mut() += 1;
                ensure!(!failing.contains(&*turn.borrow()), "it fails");
                Ok([1.0])
            });
            assert!(turns.table.render().ends_with(&format!("| {verdict} |\n")), "{failing:?}");
        }
    }
}
