//! Links between documents.

use std::fs;

use crate::blocks::documents;

/// The anchors of a document's headings, as GitHub generates them.
fn anchors(text: &str) -> Vec<String> {
    let mut fenced = false;
    let headings = text.lines().filter(|line| {
        fenced ^= line.starts_with("```");
        !fenced && line.starts_with('#')
    });
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, '-' | '_' | ' ');
    headings
        .map(|line| line.trim_start_matches('#').trim().to_lowercase())
        .map(|heading| heading.chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect())
        .collect()
}

#[test]
fn links_lead_somewhere() {
    for file in documents() {
        let text = fs::read_to_string(&file).expect("a readable document");
        let links = text.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0));
        for link in links.filter(|link| !link.starts_with("https://")) {
            let (path, anchor) =
                link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
            let to = if path.is_empty() { file.clone() } else { file.with_file_name(path) };
            assert!(to.exists(), "{}: {link}", file.display());
            let Some(anchor) = anchor else { continue };
            let there = anchors(&fs::read_to_string(&to).expect("a readable document"));
            assert!(there.iter().any(|heading| heading == anchor), "{}: {link}", file.display());
        }
    }
}
