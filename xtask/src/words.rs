//! The check for words that CONTRIBUTING.md replaces by others: in tcptrace's output, its help texts and the documents.
//!
//! The file `words.txt` has the number of such words that each file still has. A file may not get more. When a file has
//! fewer, `words.txt` must be updated.

mod counts;
mod list;
mod literals;

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result, bail, ensure};

use crate::workspace;
use counts::Counts;
use list::{Hit, List};

/// The document with the table of words.
const LIST: &str = "CONTRIBUTING.md";
/// The file with the number of words that each file may have.
const COUNTS: &str = "xtask/src/words.txt";
/// The sources with texts that users read.
const SOURCES: [&str; 2] = ["tcptrace-core/src", "tcptrace-userspace/src"];
/// The sources whose documentation comments are the help texts.
const HELP: &str = "tcptrace-userspace/src/commands/cli";

/// Check the words that tcptrace prints, of its help texts and of the documents, by the table in CONTRIBUTING.md.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Enter the present counts in xtask/src/words.txt, after words were replaced or files moved. Their sum may not grow.
    #[arg(long)]
    write: bool,
    /// Print each word with its place; of these files only, if any are given.
    #[arg(long, value_name = "PART OF A PATH", num_args = 0..)]
    list: Option<Vec<String>>,
}

/// # Errors
/// A file has another count of words than `words.txt` says, or cannot be read.
pub(crate) fn main(args: &Args) -> Result<()> {
    let found = found()?;
    if let Some(parts) = &args.list {
        let is_listed = |file: &str| parts.is_empty() || parts.iter().any(|part| file.contains(part));
        for (file, hits) in found.iter().filter(|(file, _)| is_listed(file)) {
            for hit in hits {
                println!("{file}: {hit}");
            }
        }
        return Ok(());
    }
    let path = workspace::root().join(COUNTS);
    if args.write && !path.exists() {
        return Ok(fs::write(&path, counts::text_of(&found))?);
    }
    let allowed = Counts::parse(&fs::read_to_string(&path).with_context(|| COUNTS.to_owned())?)?;
    if args.write {
        return Ok(fs::write(&path, allowed.replaced_by(&found)?)?);
    }
    check(&allowed, &found)
}

/// The part of `cargo xtask lint`.
///
/// # Errors
/// See [`main`].
pub(crate) fn lint() -> Result<()> {
    main(&Args { write: false, list: None })
}

/// All hits, by file.
type Found = BTreeMap<String, Vec<Hit>>;

fn check(allowed: &Counts, found: &Found) -> Result<()> {
    let faults = allowed.faults(found);
    if faults.is_empty() {
        return Ok(());
    }
    bail!("words: {LIST} has a table of words to replace\n  {}", faults.join("\n  "))
}

fn found() -> Result<Found> {
    let root = workspace::root();
    let list = List::parse(&read(root, Path::new(LIST))?)?;
    let mut found = Found::new();
    // README.md, and all Markdown files below docs/.
    for file in [vec![root.join("README.md")], workspace::files(&root.join("docs"), "md")?].concat() {
        found.insert(name(root, &file), list.hits(&read(root, &file)?));
    }
    ensure!(root.join(HELP).is_dir(), "words: the help texts are no longer in {HELP}: enter the new folder");
    let sources = SOURCES.map(|folder| workspace::files_without_tests(&root.join(folder)));
    for file in sources.into_iter().collect::<Result<Vec<_>>>()?.concat() {
        let with_docs = file.starts_with(root.join(HELP));
        let texts =
            literals::of(&read(root, &file)?, with_docs).with_context(|| file.display().to_string())?;
        found.insert(name(root, &file), texts.iter().flat_map(|text| list.hits(text)).collect());
    }
    found.retain(|_, hits| !hits.is_empty());
    Ok(found)
}

fn read(root: &Path, file: &Path) -> Result<String> {
    fs::read_to_string(root.join(file)).with_context(|| file.display().to_string())
}

fn name(root: &Path, file: &Path) -> String {
    file.strip_prefix(root).unwrap_or(file).display().to_string()
}
