//! An item as a user of the library sees it: without documentation, bodies and private parts.

use syn::{
    Attribute, Block, Expr, Fields, ImplItem, Item, ItemImpl, Visibility, parse_quote,
    visit_mut::{self, VisitMut},
};

/// The text of an item; `None` if nothing in it is public.
pub(super) fn shown(item: &Item) -> Option<String> {
    let mut item = item.clone();
    match &mut item {
        Item::Struct(it) => {
            has_private(&mut it.fields);
            is_public(&it.vis).then_some(())?;
        }
        Item::Enum(it) => is_public(&it.vis).then_some(())?,
        Item::Trait(it) => is_public(&it.vis).then_some(())?,
        Item::Fn(it) => is_public(&it.vis).then_some(())?,
        Item::Const(it) => is_public(&it.vis).then_some(())?,
        Item::Static(it) => is_public(&it.vis).then_some(())?,
        Item::Type(it) => is_public(&it.vis).then_some(())?,
        Item::Impl(it) => keep_public(it)?,
        _ => return None,
    }
    Strip.visit_item_mut(&mut item);
    let file = syn::File { shebang: None, attrs: Vec::new(), items: vec![item] };
    // An item without a body ends where the body would begin.
    let text = prettyplease::unparse(&file).replace(" {}\n", ";\n").replace(" = ();\n", ";\n");
    Some(text.trim_end().to_owned())
}

pub(super) fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// Whether an item exists for tests only.
pub(super) fn is_of_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Ident>().is_ok_and(|condition| condition == "test")
    })
}

/// Replaces private fields by one placeholder, or by a placeholder each in a tuple struct: other crates cannot build a
/// struct with private fields.
fn has_private(fields: &mut Fields) {
    match fields {
        Fields::Named(named) => {
            let all = named.named.len();
            named.named = named.named.iter().filter(|field| is_public(&field.vis)).cloned().collect();
            if named.named.len() < all {
                named.named.push(parse_quote!(_private: ()));
            }
        }
        Fields::Unnamed(unnamed) => {
            for field in &mut unnamed.unnamed {
                if !is_public(&field.vis) {
                    field.ty = parse_quote!(_);
                }
            }
        }
        Fields::Unit => {}
    }
}

/// Keeps the public part of an inherent implementation, and only the head of a trait's. `None` if nothing is left.
fn keep_public(item: &mut ItemImpl) -> Option<()> {
    if item.trait_.is_some() {
        item.items.clear();
        return Some(());
    }
    item.items.retain(|item| match item {
        ImplItem::Fn(it) => is_public(&it.vis),
        ImplItem::Const(it) => is_public(&it.vis),
        _ => false,
    });
    (!item.items.is_empty()).then_some(())
}

/// Removes documentation, attributes, bodies and values.
struct Strip;

impl VisitMut for Strip {
    fn visit_attributes_mut(&mut self, attributes: &mut Vec<Attribute>) {
        let says_something = ["must_use", "non_exhaustive", "derive", "repr"];
        attributes.retain(|attribute| says_something.iter().any(|name| attribute.path().is_ident(name)));
    }

    fn visit_block_mut(&mut self, block: &mut Block) {
        block.stmts.clear();
    }

    fn visit_item_const_mut(&mut self, item: &mut syn::ItemConst) {
        visit_mut::visit_item_const_mut(self, item);
        item.expr = unit();
    }

    fn visit_item_static_mut(&mut self, item: &mut syn::ItemStatic) {
        visit_mut::visit_item_static_mut(self, item);
        item.expr = unit();
    }

    fn visit_impl_item_const_mut(&mut self, item: &mut syn::ImplItemConst) {
        visit_mut::visit_impl_item_const_mut(self, item);
        item.expr = *unit();
    }
}

fn unit() -> Box<Expr> {
    Box::new(parse_quote!(()))
}
