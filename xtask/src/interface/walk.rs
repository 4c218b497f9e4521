//! Modules, from the root of a library to all that can be reached from the root.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use syn::{File, Item, ItemMod, Type, UseTree};

use super::strip::{is_of_tests, is_public, shown};

/// The items of a module that can be reached.
#[derive(Clone)]
enum Reach {
    /// All public items.
    All,
    /// Public items that a module above names.
    Named(BTreeSet<String>),
}

/// The interface of the module in this file: one line or more for each item, in the order of the sources.
///
/// # Errors
/// A source cannot be read, or is not Rust.
pub(super) fn list(root: &Path, path: &str) -> Result<String> {
    let mut text = String::new();
    module(root, path, &Reach::All, &mut text)?;
    Ok(text)
}

fn module(file: &Path, path: &str, reach: &Reach, text: &mut String) -> Result<()> {
    let source = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let File { items, .. } = syn::parse_file(&source).with_context(|| file.display().to_string())?;
    let items: Vec<Item> = items.into_iter().filter(|item| !is_of_tests(attributes(item))).collect();
    let mut shown_items = Vec::new();
    for item in &items {
        let is_reached = match name(item) {
            Some(name) => reach.has(&name) && (!matches!(item, Item::Impl(_)) || is_defined(&items, &name)),
            None => false,
        };
        if is_reached {
            shown_items.extend(shown(item));
        }
        if let Item::Use(item) = item
            && is_public(&item.vis)
        {
            let mut names = Vec::new();
            flatten(&item.tree, "", &mut names);
            let outside = names.iter().filter(|(from, name)| {
                reach.has(name)
                    && !items.iter().any(|item| is_module(item, from.split("::").next().unwrap_or_default()))
            });
            shown_items.extend(outside.map(|(from, name)| format!("pub use {from}::{name};")));
        }
    }
    if !shown_items.is_empty() {
        // Private modules do not concern users of the library.
        let heading = format!("// {path}\n");
        let last = text.rsplit("\n\n").find(|part| part.starts_with("// "));
        let heading = if last.is_some_and(|last| last.starts_with(&heading)) { "" } else { &heading };
        text.extend([heading, &shown_items.join("\n"), "\n\n"]);
    }
    for item in &items {
        let Item::Mod(child) = item else { continue };
        let name = child.ident.to_string();
        let inner = if is_public(&child.vis) && matches!(reach, Reach::All) {
            (Reach::All, format!("{path}::{name}"))
        } else {
            (Reach::Named(exported(&items, &name, reach)), path.to_owned())
        };
        if let Reach::Named(names) = &inner.0
            && names.is_empty()
        {
            continue;
        }
        module(&file_of(file, child)?, &inner.1, &inner.0, text)?;
    }
    Ok(())
}

impl Reach {
    fn has(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.contains(name),
        }
    }
}

/// The names that `pub use` exports from a private module.
fn exported(items: &[Item], module: &str, reach: &Reach) -> BTreeSet<String> {
    let mut names = Vec::new();
    for item in items {
        if let Item::Use(item) = item
            && is_public(&item.vis)
        {
            flatten(&item.tree, "", &mut names);
        }
    }
    let of_module = |from: &str| from == module || from.strip_prefix("self::") == Some(module);
    names
        .into_iter()
        .filter(|(from, name)| of_module(from) && reach.has(name))
        .map(|(_, name)| name)
        .collect()
}

/// The names of a `use`, each with its path.
fn flatten(tree: &UseTree, from: &str, names: &mut Vec<(String, String)>) {
    match tree {
        UseTree::Path(path) => {
            let from =
                if from.is_empty() { path.ident.to_string() } else { format!("{from}::{}", path.ident) };
            flatten(&path.tree, &from, names);
        }
        UseTree::Name(name) => names.push((from.to_owned(), name.ident.to_string())),
        UseTree::Rename(rename) => names.push((from.to_owned(), rename.ident.to_string())),
        UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, from, names)),
        UseTree::Glob(_) => names.push((from.to_owned(), "*".to_owned())),
    }
}

fn is_module(item: &Item, name: &str) -> bool {
    matches!(item, Item::Mod(module) if module.ident == name)
}

/// Whether these items define a public type of this name: an implementation for a private type is not part of the
/// interface.
fn is_defined(items: &[Item], name: &str) -> bool {
    items.iter().any(|item| match item {
        Item::Struct(it) => it.ident == name && is_public(&it.vis),
        Item::Enum(it) => it.ident == name && is_public(&it.vis),
        _ => false,
    })
}

/// The name of an item; for an implementation, the name of its type.
fn name(item: &Item) -> Option<String> {
    Some(match item {
        Item::Struct(it) => it.ident.to_string(),
        Item::Enum(it) => it.ident.to_string(),
        Item::Trait(it) => it.ident.to_string(),
        Item::Fn(it) => it.sig.ident.to_string(),
        Item::Const(it) => it.ident.to_string(),
        Item::Static(it) => it.ident.to_string(),
        Item::Type(it) => it.ident.to_string(),
        Item::Impl(it) => {
            let Type::Path(path) = it.self_ty.as_ref() else { return None };
            path.path.segments.last()?.ident.to_string()
        }
        _ => return None,
    })
}

fn attributes(item: &Item) -> &[syn::Attribute] {
    match item {
        Item::Mod(it) => &it.attrs,
        Item::Fn(it) => &it.attrs,
        Item::Impl(it) => &it.attrs,
        Item::Struct(it) => &it.attrs,
        Item::Enum(it) => &it.attrs,
        Item::Use(it) => &it.attrs,
        _ => &[],
    }
}

/// The file of a module.
fn file_of(parent: &Path, module: &ItemMod) -> Result<PathBuf> {
    let folder = parent.parent().context("a file is in a folder")?;
    let stem = parent.file_stem().context("a file has a name")?;
    let folder = if ["lib", "mod", "main"].iter().any(|name| stem == *name) {
        folder.into()
    } else {
        folder.join(stem)
    };
    let name = module.ident.to_string();
    let beside = folder.join(format!("{name}.rs"));
    Ok(if beside.is_file() { beside } else { folder.join(name).join("mod.rs") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_reached_is_listed() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(&path, text).expect("a file");
            path
        };
        let root = write(
            "lib.rs",
            "pub mod open; mod shut; pub use shut::{Seen, VALUE}; pub use other::Thing; #[cfg(test)] mod tests;",
        );
        write("open.rs", "pub fn call(number: u8) -> u8 { number } pub(crate) fn inner() {} pub mod below;");
        write("open/below.rs", "/// Words.\npub enum Kind { One(u8), Two }");
        write(
            "shut.rs",
            "pub struct Seen { pub field: u8, hidden: u8 } pub struct Unseen; struct Own; pub const VALUE: u8 = 7;
             impl Seen { pub fn get(&self) -> u8 { 1 } fn own(&self) {} }
             impl Unseen { pub fn get(&self) {} } impl Clone for Seen { fn clone(&self) -> Self { Seen { field: 1, hidden: 2 } } }",
        );
        let expected = "// library\npub use other::Thing;\n\n// library::open\npub fn call(number: u8) -> u8;\n\n\
                        // library::open::below\npub enum Kind {\n    One(u8),\n    Two,\n}\n\n\
                        // library\npub struct Seen {\n    pub field: u8,\n    _private: (),\n}\npub const VALUE: u8;\n\
                        impl Seen {\n    pub fn get(&self) -> u8;\n}\nimpl Clone for Seen;\n\n";
        assert_eq!(list(&root, "library").expect("sources"), expected);
    }
}
