//! String literals of a Rust file, and its documentation if that is the help of a command.

use anyhow::Result;
use syn::{
    Attribute, ItemFn, ItemImpl, ItemMod, Lit, LitStr, Macro, Meta,
    buffer::{Cursor, TokenBuffer},
    visit::{self, Visit},
};

/// Texts of a file, without the texts of its tests.
struct Texts {
    with_docs: bool,
    found: Vec<String>,
}

/// The string literals of a file, and its documentation if `with_docs`.
///
/// # Errors
/// `source` is not Rust.
pub(super) fn of(source: &str, with_docs: bool) -> Result<Vec<String>> {
    let mut texts = Texts { with_docs, found: Vec::new() };
    texts.visit_file(&syn::parse_file(source)?);
    Ok(texts.found)
}

impl Texts {
    /// Adds the literals among the tokens of a macro or an attribute.
    fn take(&mut self, mut cursor: Cursor<'_>) {
        while !cursor.eof() {
            cursor = if let Some((group, .., next)) = cursor.any_group() {
                self.take(group);
                next
            } else if let Some((literal, next)) = cursor.literal() {
                if let Ok(Lit::Str(text)) = syn::parse_str(&literal.to_string()) {
                    self.found.push(text.value());
                }
                next
            } else if let Some((_, next)) = cursor.token_tree() {
                next
            } else {
                return;
            };
        }
    }
}

impl Visit<'_> for Texts {
    fn visit_lit_str(&mut self, text: &LitStr) {
        self.found.push(text.value());
    }

    fn visit_macro(&mut self, call: &Macro) {
        self.take(TokenBuffer::new2(call.tokens.clone()).begin());
    }

    fn visit_attribute(&mut self, attribute: &Attribute) {
        match &attribute.meta {
            Meta::NameValue(value) if self.with_docs || !value.path.is_ident("doc") => {
                self.visit_expr(&value.value);
            }
            Meta::List(list) => self.take(TokenBuffer::new2(list.tokens.clone()).begin()),
            Meta::NameValue(_) | Meta::Path(_) => {}
        }
    }

    fn visit_item_mod(&mut self, item: &ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &ItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_item_impl(&mut self, item: &ItemImpl) {
        if !is_test(&item.attrs) {
            visit::visit_item_impl(self, item);
        }
    }
}

/// Whether an item has `#[cfg(test)]`.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = r##"
        //! Module.
        /// Help.
        #[arg(long, help = "attribute")]
        pub fn print() {
            println!("{}: {}", r#"raw"#, format!("inner"));
            let _ = ("plain\nlines", 'c', b"bytes", 1);
        }
        #[cfg(test)]
        mod tests {
            const NOT: &str = "of a test";
        }
        const BEHIND: &str = "behind";
    "##;

    #[test]
    fn literals_are_found_also_in_macros_and_attributes() {
        let texts = of(SOURCE, false).expect("Rust");
        assert_eq!(texts, ["attribute", "{}: {}", "raw", "inner", "plain\nlines", "behind"]);
    }

    #[test]
    fn documentation_is_found_where_it_is_help() {
        let texts = of(SOURCE, true).expect("Rust");
        assert!([" Module.", " Help."].iter().all(|doc| texts.iter().any(|text| text == doc)), "{texts:?}");
        assert!(!texts.iter().any(|text| text == "of a test"));
        assert!(of("fn (", true).is_err());
    }
}
