//! The list of words to replace, and the search for them in a text.

use std::fmt;

use anyhow::{Result, ensure};

/// The heading of the section that has the table.
const SECTION: &str = "## Words";

/// Words and phrases to replace.
#[derive(Debug)]
pub(super) struct List(Vec<Vec<String>>);

/// A word or phrase of the list in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) word: String,
    /// The line in which the hit begins.
    line: String,
}

impl fmt::Display for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` in: {}", self.word, self.line.trim())
    }
}

impl List {
    /// Reads the text between backticks in the first column of the section's table.
    ///
    /// # Errors
    /// There is no such section, or it has no words.
    pub(super) fn parse(document: &str) -> Result<Self> {
        let section = document.lines().skip_while(|line| *line != SECTION).skip(1);
        let rows = section.take_while(|line| !line.starts_with("## ")).filter(|line| line.starts_with('|'));
        let cells = rows.filter_map(|row| row.split('|').nth(1));
        let quoted = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
        let phrases: Vec<Vec<String>> =
            quoted.map(|phrase| words(phrase).map(|(word, _)| word).collect()).collect();
        ensure!(!phrases.is_empty(), "words: no table of them below `{SECTION}`");
        Ok(Self(phrases))
    }

    /// All hits in a text. A phrase may continue on the next line.
    pub(super) fn hits(&self, text: &str) -> Vec<Hit> {
        let words: Vec<(String, &str)> = words(text).collect();
        let mut hits = Vec::new();
        for (start, (_, line)) in words.iter().enumerate() {
            let is_here = |phrase: &Vec<String>| {
                let rest = words[start..].iter().map(|(word, _)| word);
                rest.take(phrase.len()).eq(phrase)
            };
            let here = self.0.iter().filter(|phrase| is_here(phrase));
            hits.extend(here.map(|phrase| Hit { word: phrase.join(" "), line: (*line).to_owned() }));
        }
        hits
    }
}

/// The words of a text in lower case, each with its line. `look-alike` and `look_at` are words of their own.
fn words(text: &str) -> impl Iterator<Item = (String, &str)> {
    text.lines().flat_map(|line| {
        let parts = line.split(|letter: char| !letter.is_alphanumeric() && !"-_'".contains(letter));
        let words = parts.map(|part| part.trim_matches(['-', '\'']).to_lowercase());
        words.filter(|word| !word.is_empty()).map(move |word| (word, line))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "## Style\n| `style` | x |\n## Words\nOf `these`:\n\n| Not | But |\n|---|---|\n\
                            | `look`, `clean bill` | `scan` |\n## Commits\n| `commit` | x |\n";

    fn found(text: &str) -> Vec<String> {
        let list = List::parse(DOCUMENT).expect("a list");
        list.hits(text).into_iter().map(|hit| hit.word).collect()
    }

    #[test]
    fn words_and_phrases_of_the_first_column_are_found() {
        assert_eq!(found("Have a LOOK: it looks clean. Scan of these, commit style."), ["look"]);
        assert_eq!(found("no clean\nbill, no (look)"), ["clean bill", "look"]);
        assert_eq!(found("`--look`, 'look'"), ["look", "look"]);
        assert_eq!(found("A look-alike, look_at and outlook."), [""; 0]);
    }

    #[test]
    fn a_hit_shows_its_line() {
        let list = List::parse(DOCUMENT).expect("a list");
        let hits = list.hits("one\n  a clean\nbill\n");
        assert_eq!(hits[0].to_string(), "`clean bill` in: a clean");
    }

    #[test]
    fn a_document_without_a_table_is_an_error() {
        assert!(List::parse("## Words\nnone\n").is_err());
        assert!(List::parse("| `look` | scan |\n").is_err());
    }
}
