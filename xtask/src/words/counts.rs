//! The number of listed words that each file may still have: a ratchet, which only goes down.

use std::{collections::BTreeMap, fmt::Write as _};

use anyhow::{Context, Result, ensure};

use super::{COUNTS, Found};

/// Remaining words, by file.
#[derive(Debug, Default)]
pub(super) struct Counts(BTreeMap<String, usize>);

const HEAD: &str = "# Words to replace that each file still has: `cargo xtask words --list` shows them, `--write` writes this.\n";

impl Counts {
    /// Reads lines with a count and a file; lines that begin with `#` are comments.
    ///
    /// # Errors
    /// A line has neither form.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let counts = lines.map(|line| {
            let (count, file) = line.split_once(' ').context("a count and a file")?;
            Ok((file.to_owned(), count.parse()?))
        });
        let counts: Result<_> = counts.collect();
        Ok(Self(counts.with_context(|| format!("{COUNTS} has a line that is none of its own"))?))
    }

    /// The files whose count differs from the entered one, each as a sentence.
    pub(super) fn faults(&self, found: &Found) -> Vec<String> {
        let mut faults = Vec::new();
        for (file, hits) in found {
            let allowed = self.0.get(file).copied().unwrap_or_default();
            if hits.len() > allowed {
                let all: Vec<String> = hits.iter().map(|hit| format!("\n    {hit}")).collect();
                let count = hits.len();
                faults.push(format!(
                    "{file} has {count}, {allowed} are allowed: replace the new ones{}",
                    all.concat()
                ));
            }
        }
        for (file, allowed) in &self.0 {
            let count = found.get(file).map_or(0, Vec::len);
            if count < *allowed {
                faults.push(format!(
                    "{file} has {count}, {allowed} are entered: run cargo xtask words --write"
                ));
            }
        }
        faults
    }

    /// The text of `words.txt` with the counts that were found.
    ///
    /// # Errors
    /// The sum of the counts has grown.
    pub(super) fn replaced_by(&self, found: &Found) -> Result<String> {
        let before: usize = self.0.values().sum();
        let now: usize = found.values().map(Vec::len).sum();
        ensure!(now <= before, "words: {before} are entered and {now} are there: replace the new ones first");
        Ok(text_of(found))
    }
}

/// The text of `words.txt` with the counts that were found.
pub(super) fn text_of(found: &Found) -> String {
    let mut text = HEAD.to_owned();
    for (file, hits) in found {
        let _ = writeln!(text, "{} {file}", hits.len());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{super::list::List, *};

    fn found(files: &[(&str, &str)]) -> Found {
        let list = List::parse("## Words\n| `told` | printed |\n").expect("a list");
        files.iter().map(|(file, text)| ((*file).to_owned(), list.hits(text))).collect()
    }

    fn faults(counts: &str, files: &[(&str, &str)]) -> Vec<String> {
        Counts::parse(counts).expect("counts").faults(&found(files))
    }

    #[test]
    fn a_new_word_is_a_fault_and_is_shown() {
        let new = faults("", &[("a.md", "It is told.")]);
        assert_eq!(new, ["a.md has 1, 0 are allowed: replace the new ones\n    `told` in: It is told."]);
        let more = faults("1 a.md\n", &[("a.md", "told, told")]);
        assert!(more[0].starts_with("a.md has 2, 1 are allowed"), "{more:?}");
    }

    #[test]
    fn what_is_entered_is_allowed() {
        assert_eq!(
            faults("# comment\n2 a.md\n1 b.md\n", &[("a.md", "told told"), ("b.md", "told")]),
            [""; 0]
        );
        assert!(Counts::parse("many a.md").is_err());
    }

    #[test]
    fn a_count_that_is_too_high_is_a_fault() {
        let fewer = faults("2 a.md\n", &[("a.md", "told")]);
        assert_eq!(fewer, ["a.md has 1, 2 are entered: run cargo xtask words --write"]);
        // A file that no longer exists is a fault too.
        assert_eq!(faults("2 a.md\n", &[]).len(), 1);
    }

    #[test]
    fn the_sum_only_falls() {
        let counts = Counts::parse("2 a.md\n").expect("counts");
        let moved = counts.replaced_by(&found(&[("b.md", "told told")])).expect("as many");
        assert_eq!(moved, format!("{HEAD}2 b.md\n"));
        assert!(counts.replaced_by(&found(&[("a.md", "told told told")])).is_err());
    }
}
