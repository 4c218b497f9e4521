//! The public interface of the libraries, listed in files that are checked in: a review shows each change of it.

mod strip;
mod walk;

use std::fs;

use anyhow::{Context, Result, bail};

use crate::workspace;

/// The listed interfaces: the file of the root module, its path for a user of the library, and the list.
const INTERFACES: [Interface; 2] = [
    Interface {
        root: "tcptrace-core/src/lib.rs",
        path: "tcptrace_core",
        list: "tcptrace-core/interface.txt",
    },
    Interface {
        root: "tcptrace-userspace/src/session/mod.rs",
        path: "tcptrace::session",
        list: "tcptrace-userspace/interface.txt",
    },
];

/// Compare the public interface of the libraries with the lists that are checked in.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write the lists instead.
    #[arg(long)]
    write: bool,
}

struct Interface {
    root: &'static str,
    path: &'static str,
    list: &'static str,
}

/// # Errors
/// A list differs from the interface, or a source cannot be read.
pub(crate) fn main(args: &Args) -> Result<()> {
    for Interface { root, path, list } in INTERFACES {
        let now = walk::list(&workspace::root().join(root), path)?;
        let file = workspace::root().join(list);
        if args.write {
            fs::write(&file, now)?;
            continue;
        }
        let before = fs::read_to_string(&file).with_context(|| list.to_owned())?;
        if let Some(difference) = difference(&before, &now) {
            bail!(
                "the public interface {path} is not the one in {list}; if that is meant: cargo xtask interface --write\n{difference}"
            );
        }
    }
    Ok(())
}

/// The part of `cargo xtask lint`.
///
/// # Errors
/// See [`main`].
pub(crate) fn lint() -> Result<()> {
    main(&Args { write: false })
}

/// The first lines that differ; `None` if the texts are equal.
fn difference(before: &str, now: &str) -> Option<String> {
    let (mut before, mut now) = (before.lines(), now.lines());
    loop {
        let (one, other) = (before.next(), now.next());
        if one != other {
            let line =
                |sign, line: Option<&str>| line.map_or(String::new(), |line| format!("{sign} {line}\n"));
            return Some(line('-', one) + &line('+', other));
        }
        one?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_shown() {
        assert_eq!(difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(difference("a\nb\n", "a\nc\n").as_deref(), Some("- b\n+ c\n"));
        assert_eq!(difference("a\n", "a\nc\n").as_deref(), Some("+ c\n"));
        assert_eq!(difference("a\nc\n", "a\n").as_deref(), Some("- c\n"));
    }
}
