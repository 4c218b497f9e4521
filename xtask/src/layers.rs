//! The layers of `tcptrace-userspace`: a folder may use those below it and none above it.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use syn::{
    ItemMod, ItemUse, UseTree,
    visit::{self, Visit},
};

use crate::workspace;

/// From the ground up; of each layer its folders and files in `src/`.
const LAYERS: [(&str, &[&str]); 10] = [
    ("model", &["model"]),
    ("sys", &["sys"]),
    ("bpf", &["bpf"]),
    ("scan", &["scan"]),
    ("pipeline", &["decode", "half_open", "record", "tracker"]),
    ("diagnosis", &["diagnosis"]),
    ("output", &["output"]),
    ("capture", &["capture"]),
    ("session", &["trace"]),
    ("commands", &["commands", "fuzzing"]),
];

/// What names all others.
const ROOTS: [&str; 2] = ["lib", "main"];

/// Arrows that run the wrong way and are still to be turned. One that is gone has to go from here.
const LEFT: [(&str, &str); 3] = [("capture", "trace"), ("diagnosis", "capture"), ("record", "diagnosis")];

/// # Errors
/// A file uses a layer above its own, or belongs to no layer.
pub(crate) fn main() -> Result<()> {
    let src = workspace::root().join("tcptrace-userspace/src");
    let mut arrows = Vec::new();
    for file in files(&src)? {
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let name = file.strip_prefix(&src)?.display().to_string();
        arrows.extend(arrows_of(&name, &text).with_context(|| name.clone())?);
    }
    check(&arrows)
}

/// One file uses a folder or file of `src/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Arrow {
    file: String,
    from: String,
    to: String,
}

fn check(arrows: &[Arrow]) -> Result<()> {
    let mut left: BTreeSet<(&str, &str)> = LEFT.into();
    let mut wrong = Vec::new();
    for Arrow { file, from, to } in arrows {
        let (below, above) = (layer(from)?, layer(to)?);
        if below >= above {
            continue;
        }
        let is_known = LEFT.contains(&(from.as_str(), to.as_str()));
        left.remove(&(from.as_str(), to.as_str()));
        if !is_known {
            let (below, above) = (LAYERS[below].0, LAYERS[above].0);
            wrong.push(format!("{file} uses {to}: the layer {below} is below the layer {above}"));
        }
    }
    if !wrong.is_empty() {
        bail!("layers:\n  {}", wrong.join("\n  "));
    }
    match left.first() {
        Some((from, to)) => bail!("layers: {from} uses {to} no more; remove that from the list"),
        None => Ok(()),
    }
}

/// The number of the layer that a folder or file belongs to.
fn layer(name: &str) -> Result<usize> {
    let place = LAYERS.iter().position(|(_, names)| names.contains(&name));
    place.with_context(|| format!("layers: {name} belongs to no layer"))
}

/// Rust files below a folder, without tests.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let is_tests = path.file_stem().is_some_and(|stem| stem == "tests");
        if is_tests {
            continue;
        }
        if path.is_dir() {
            files.extend(self::files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// What one file of `src/` uses of the others.
fn arrows_of(file: &str, text: &str) -> Result<BTreeSet<Arrow>> {
    let from = file.split(['/', '.']).next().unwrap_or(file);
    if ROOTS.contains(&from) {
        return Ok(BTreeSet::new());
    }
    let mut used = Used::default();
    used.visit_file(&syn::parse_file(text)?);
    let others = used.0.into_iter().filter(|to| to != from);
    Ok(others.map(|to| Arrow { file: file.to_owned(), from: from.to_owned(), to }).collect())
}

/// The names behind `crate::`, outside of tests.
#[derive(Default)]
struct Used(BTreeSet<String>);

impl Used {
    fn names(&mut self, tree: &UseTree) {
        match tree {
            UseTree::Path(path) => drop(self.0.insert(path.ident.to_string())),
            UseTree::Name(name) => drop(self.0.insert(name.ident.to_string())),
            UseTree::Rename(rename) => drop(self.0.insert(rename.ident.to_string())),
            UseTree::Group(group) => group.items.iter().for_each(|item| self.names(item)),
            UseTree::Glob(_) => {}
        }
    }
}

impl Visit<'_> for Used {
    fn visit_item_mod(&mut self, module: &ItemMod) {
        if module.ident != "tests" {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_use(&mut self, item: &ItemUse) {
        if let UseTree::Path(path) = &item.tree
            && path.ident == "crate"
        {
            self.names(&path.tree);
        }
    }

    fn visit_path(&mut self, path: &syn::Path) {
        let mut segments = path.segments.iter();
        if segments.next().is_some_and(|first| first.ident == "crate")
            && let Some(second) = segments.next()
        {
            self.0.insert(second.ident.to_string());
        }
        visit::visit_path(self, path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(file: &str, text: &str) -> Result<()> {
        let mut arrows: Vec<Arrow> = arrows_of(file, text).expect("Rust").into_iter().collect();
        let known =
            |(from, to): (&str, &str)| Arrow { file: String::new(), from: from.into(), to: to.into() };
        arrows.extend(LEFT.map(known));
        check(&arrows)
    }

    #[test]
    fn an_arrow_upwards_is_an_error() {
        let wrong = [
            "use crate::commands::cli;",
            "use crate::{bpf::{self, Tracer}, model::state::State};",
            "fn f() -> crate::trace::Settings { f() }",
            "fn f() { crate::output::sink(); }",
            "mod inner { use crate::diagnosis; }",
        ];
        for text in wrong {
            let error = checked("model/state.rs", text).expect_err(text).to_string();
            assert!(error.contains("model/state.rs uses "), "{error}");
            assert!(checked("commands/cli/mod.rs", text).is_ok(), "{text}");
        }
    }

    #[test]
    fn within_a_layer_and_downwards_all_is_allowed() {
        assert!(checked("tracker/mod.rs", "use crate::{decode::decode, model::event::Event, bpf};").is_ok());
        assert!(
            checked("model/state.rs", "use super::event; use std::fmt; use tcptrace_common::Address;")
                .is_ok()
        );
        assert!(checked("model/state.rs", "#[cfg(test)] mod tests { use crate::commands; }").is_ok());
        assert!(checked("lib.rs", "pub use crate::commands;").is_ok());
    }

    #[test]
    fn what_has_no_layer_and_what_is_listed_in_vain_are_errors() {
        assert!(checked("attic/mod.rs", "use crate::model;").is_err());
        assert!(checked("trace/mod.rs", "use crate::attic;").is_err());
        let error = check(&[]).expect_err("nothing runs the wrong way").to_string();
        assert!(error.contains("no more"), "{error}");
    }
}
