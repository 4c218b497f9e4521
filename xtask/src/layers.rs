//! The layers of the crates of user space: a folder may use the layers below its own and none above.

use std::{collections::BTreeSet, fs};

use anyhow::{Context, Result, bail};
use syn::{
    ItemMod, ItemUse, UseTree,
    visit::{self, Visit},
};

use crate::{process, workspace};

/// A crate, and its layers from the ground up: folders and files of its `src/`.
struct Layers {
    package: &'static str,
    names: &'static [&'static str],
}

/// Cargo checks which crate uses which.
const CRATES: [Layers; 2] = [
    Layers { package: "tcptrace-core", names: &["model", "diagnosis", "pipeline", "output", "capture"] },
    Layers {
        package: "tcptrace-userspace",
        names: &["sys", "bpf", "scan", "recording", "session", "commands", "fuzzing"],
    },
];

/// The crates that the pure half must not depend on, so that any program can use it.
const IMPURE: [&str; 4] = ["aya", "clap", "nix", "tokio"];

/// The files that may use all layers.
const ROOTS: [&str; 2] = ["lib", "main"];

/// # Errors
/// A file uses a layer above its own, or belongs to no layer; the pure half depends on a crate that it must do without.
pub(crate) fn main() -> Result<()> {
    for layers in &CRATES {
        let src = workspace::root().join(layers.package).join("src");
        let mut arrows = Vec::new();
        for file in workspace::files_without_tests(&src)? {
            let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            let name = file.strip_prefix(&src)?.display().to_string();
            arrows.extend(arrows_of(&name, &text).with_context(|| name.clone())?);
        }
        layers.check(&arrows)?;
    }
    let tree = ["tree", "--package", CRATES[0].package, "--edges", "normal", "--prefix", "none"];
    check_dependencies(&process::output(workspace::cargo().args(tree))?)
}

/// Checks the output of `cargo tree`: one dependency in each line, its name first.
fn check_dependencies(tree: &str) -> Result<()> {
    let names = tree.lines().filter_map(|line| line.split_whitespace().next());
    let impure: BTreeSet<&str> = names.filter(|name| IMPURE.contains(name)).collect();
    if impure.is_empty() {
        return Ok(());
    }
    bail!("layers: {} depends on {}", CRATES[0].package, impure.into_iter().collect::<Vec<_>>().join(", "))
}

/// A use of a folder or file of `src/` by one file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Arrow {
    file: String,
    from: String,
    to: String,
}

impl Layers {
    fn check(&self, arrows: &[Arrow]) -> Result<()> {
        let mut wrong = Vec::new();
        for Arrow { file, from, to } in arrows {
            if self.place(from)? < self.place(to)? {
                wrong.push(format!("{file} uses {to}, a layer above {from}"));
            }
        }
        if wrong.is_empty() {
            return Ok(());
        }
        bail!("layers of {}:\n  {}", self.package, wrong.join("\n  "))
    }

    fn place(&self, name: &str) -> Result<usize> {
        let place = self.names.iter().position(|layer| *layer == name);
        place.with_context(|| format!("layers: {name} belongs to no layer of {}", self.package))
    }
}

/// The uses of other layers by one file of `src/`.
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

    const LAYERS: Layers = Layers { package: "a-crate", names: &["model", "bpf", "session", "commands"] };

    fn checked(file: &str, text: &str) -> Result<()> {
        let arrows: Vec<Arrow> = arrows_of(file, text).expect("Rust").into_iter().collect();
        LAYERS.check(&arrows)
    }

    #[test]
    fn an_arrow_upwards_is_an_error() {
        let wrong = [
            "use crate::commands::cli;",
            "use crate::{bpf::{self, Tracer}, model::state::State};",
            "fn f() -> crate::session::Settings { f() }",
            "fn f() { crate::commands::run(); }",
            "mod inner { use crate::session; }",
        ];
        for text in wrong {
            let error = checked("model/state.rs", text).expect_err(text).to_string();
            assert!(error.contains("model/state.rs uses "), "{error}");
            assert!(checked("commands/cli/mod.rs", text).is_ok(), "{text}");
        }
    }

    #[test]
    fn within_a_layer_and_downwards_all_is_allowed() {
        assert!(checked("session/mod.rs", "use crate::{session::ring, model::event::Event, bpf};").is_ok());
        let outside = "use super::event; use std::fmt; use tcptrace_common::Address;";
        assert!(checked("model/state.rs", outside).is_ok());
        assert!(checked("model/state.rs", "#[cfg(test)] mod tests { use crate::commands; }").is_ok());
        assert!(checked("lib.rs", "pub use crate::commands;").is_ok());
    }

    #[test]
    fn what_has_no_layer_is_an_error() {
        assert!(checked("attic/mod.rs", "use crate::model;").is_err());
        assert!(checked("session/mod.rs", "use crate::attic;").is_err());
    }

    #[test]
    fn the_pure_half_does_without_some_crates() {
        assert!(check_dependencies("tcptrace-core v0.1.0\nserde v1.0.0\ntokio-like v1.0.0\n").is_ok());
        let error = check_dependencies("tcptrace-core v0.1.0\nnix v0.31.0\naya v0.14.0 (*)\n");
        assert!(error.expect_err("both").to_string().ends_with("depends on aya, nix"));
    }
}
