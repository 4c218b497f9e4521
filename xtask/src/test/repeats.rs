//! The number of times that tests have repeated their steps because the first run could not be compared.

use std::{fmt, fs, io::ErrorKind, path::Path};

use anyhow::{Context, Result, bail};

/// The variable that names the file to which tests append a line for each repeat.
pub(crate) const VARIABLE: &str = "TCPTRACE_REPEATS";

/// The most repeats of all tests together. Usually there are none, even on two processors that others use as well. A
/// hypervisor accounts for a few. More mean that the kernel hides events from tcptrace, or that its clock is wrong.
const LIMIT: usize = 10;

/// The number of characters of each repeat to show: the name of the test and the reason.
const SHOWN_CHARS: usize = 160;

/// The lines of the file: `NAME: REASON`.
#[derive(Debug, Default)]
pub(crate) struct Repeats(Vec<String>);

impl Repeats {
    /// # Errors
    /// The file exists and cannot be read.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        match fs::read_to_string(file) {
            Ok(text) => Ok(Self::of(&text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| file.display().to_string()),
        }
    }

    fn of(text: &str) -> Self {
        Self(text.lines().map(|line| line.chars().take(SHOWN_CHARS).collect()).collect())
    }

    /// # Errors
    /// There are more repeats than the limit.
    pub(crate) fn check(&self) -> Result<()> {
        if self.0.len() > LIMIT {
            bail!("tests have played their steps again {} times; more than {LIMIT} is a fault", self.0.len());
        }
        Ok(())
    }
}

impl fmt::Display for Repeats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "played again: {}", self.0.len())?;
        if self.0.is_empty() { Ok(()) } else { write!(f, " ({})", self.0.join("; ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_counted_and_named() {
        assert_eq!(Repeats::of("").to_string(), "played again: 0");
        let two = Repeats::of("refused::tp_btf: hidden\nclosed: clocks\n");
        assert_eq!(two.to_string(), "played again: 2 (refused::tp_btf: hidden; closed: clocks)");
        let long = Repeats::of(&"x".repeat(9 * SHOWN_CHARS));
        assert!(long.to_string().len() < 2 * SHOWN_CHARS);
    }

    #[test]
    fn more_than_a_few_are_a_fault() {
        assert!(Repeats::of(&"a: b\n".repeat(LIMIT)).check().is_ok());
        assert!(Repeats::of(&"a: b\n".repeat(LIMIT + 1)).check().is_err());
    }

    #[test]
    fn no_file_is_no_repeat() {
        let folder = tempfile::tempdir().expect("a folder");
        let repeats = Repeats::read(&folder.path().join("absent")).expect("no error");
        assert_eq!(repeats.0.len(), 0);
    }
}
