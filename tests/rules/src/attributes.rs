//! What attributes say about when something is compiled.

use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ImplItem, Item, Meta, Stmt, Token, TraitItem};

/// Whether this is compiled for tests only.
pub(crate) fn is_test(attributes: &[Attribute]) -> bool {
    conditions(attributes).any(|condition| needs(&condition, "test"))
}

/// Whether this is compiled for tests or for the documentation only.
pub(crate) fn is_test_or_doc(attributes: &[Attribute]) -> bool {
    is_test(attributes) || conditions(attributes).any(|condition| needs(&condition, "doc"))
}

/// What stands in `cfg(…)`.
fn conditions(attributes: &[Attribute]) -> impl Iterator<Item = Meta> {
    let conditional = attributes.iter().filter(|attribute| attribute.path().is_ident("cfg"));
    conditional.filter_map(|attribute| attribute.parse_args::<Meta>().ok())
}

/// Whether a condition holds only where the word does. `any` and `not` promise nothing.
fn needs(condition: &Meta, word: &str) -> bool {
    match condition {
        Meta::Path(path) => path.is_ident(word),
        Meta::List(list) if list.path.is_ident("all") => list
            .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
            .is_ok_and(|all| all.iter().any(|condition| needs(condition, word))),
        _ => false,
    }
}

pub(crate) fn of_item(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

pub(crate) fn of_impl_item(item: &ImplItem) -> &[Attribute] {
    match item {
        ImplItem::Const(item) => &item.attrs,
        ImplItem::Fn(item) => &item.attrs,
        ImplItem::Macro(item) => &item.attrs,
        ImplItem::Type(item) => &item.attrs,
        _ => &[],
    }
}

pub(crate) fn of_trait_item(item: &TraitItem) -> &[Attribute] {
    match item {
        TraitItem::Const(item) => &item.attrs,
        TraitItem::Fn(item) => &item.attrs,
        TraitItem::Macro(item) => &item.attrs,
        TraitItem::Type(item) => &item.attrs,
        _ => &[],
    }
}

/// Of a statement that is not an item.
pub(crate) fn of_statement(statement: &Stmt) -> &[Attribute] {
    match statement {
        Stmt::Local(local) => &local.attrs,
        Stmt::Macro(call) => &call.attrs,
        Stmt::Expr(Expr::Block(block), _) => &block.attrs,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_for_tests_or_documentation_are_recognised() {
        let said = |text: &str| {
            let item = syn::parse_str::<Item>(&format!("{text} fn f() {{}}")).unwrap();
            (is_test(of_item(&item)), is_test_or_doc(of_item(&item)))
        };
        assert_eq!(said("#[cfg(test)]"), (true, true));
        assert_eq!(said("#[cfg(all(test, not(loom)))]"), (true, true));
        assert_eq!(said("#[must_use] #[cfg(doc)]"), (false, true));
        for both in ["", "#[cfg(not(test))]", "#[cfg(any(test, unix))]", "#[cfg(unix)]", "#[test]"]
        {
            assert_eq!(said(both), (false, false), "{both}");
        }
    }
}
