//! The documents and their fenced blocks.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

/// A fenced block of a document.
pub(crate) struct Block {
    pub(crate) file: PathBuf,
    /// The number of its first line within the fence.
    line: usize,
    /// The language on the fence: `sh`, `text`, `json`.
    pub(crate) language: String,
    pub(crate) lines: Vec<String>,
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace")
}

/// All documents, in a fixed order.
pub(crate) fn documents() -> Vec<PathBuf> {
    let folders =
        ["docs", "docs/findings"].map(|folder| fs::read_dir(root().join(folder)).expect("a folder"));
    let pages = folders.into_iter().flatten().map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> = pages.filter(|path| path.extension().is_some_and(|e| e == "md")).collect();
    files.extend(
        ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"].map(|name| root().join(name)),
    );
    files.sort();
    files
}

/// All fenced blocks with one of these languages.
pub(crate) fn blocks(languages: &[&str]) -> Vec<Block> {
    let mut blocks = Vec::new();
    for file in documents() {
        let text = fs::read_to_string(&file).expect("a readable document");
        let mut open: Option<Block> = None;
        for (number, line) in text.lines().enumerate() {
            match (&mut open, line.trim().strip_prefix("```")) {
                (None, Some(language)) => {
                    let language = language.to_owned();
                    open = Some(Block { file: file.clone(), line: number + 2, language, lines: Vec::new() });
                }
                (Some(_), Some("")) => blocks.extend(open.take()),
                (Some(block), _) => block.lines.push(line.to_owned()),
                (None, None) => {}
            }
        }
    }
    blocks.retain(|block| languages.contains(&block.language.as_str()));
    blocks
}
