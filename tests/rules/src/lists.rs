//! Lists of an enum's variants that claim to be complete.

use syn::{Expr, ImplItem, Item, Type};

use crate::file::File;

/// Each variant of an enum stands in the constant `ALL` of the same file, if there is one.
///
/// The compiler notices a variant that a `match` forgets, but not one that a list forgets.
pub(crate) fn check(file: &File) -> Vec<String> {
    if !file.text.contains("const ALL: ") {
        return Vec::new();
    }
    let Ok(parsed) = syn::parse_file(&file.text) else { return Vec::new() };
    let mut complaints = Vec::new();
    for (name, listed) in parsed.items.iter().filter_map(list) {
        for item in &parsed.items {
            let Item::Enum(item) = item else { continue };
            let variants = item.variants.iter().filter(|_| item.ident == name);
            for variant in variants.filter(|variant| !listed.contains(&variant.ident.to_string())) {
                let line = file.text.lines().position(|line| declares(line, &name)).unwrap_or(0);
                let what = format!("{name}::{} does not stand in {name}::ALL", variant.ident);
                complaints.push(file.at(line + 1, &what));
            }
        }
    }
    complaints
}

/// Whose list it is, and the names in it.
fn list(item: &Item) -> Option<(String, Vec<String>)> {
    let Item::Impl(block) = item else { return None };
    let Type::Path(owner) = &*block.self_ty else { return None };
    let constants = block.items.iter().filter_map(|item| match item {
        ImplItem::Const(constant) if constant.ident == "ALL" => Some(&constant.expr),
        _ => None,
    });
    let array = constants.into_iter().find_map(|expression| match expression {
        Expr::Array(array) => Some(array),
        Expr::Reference(reference) => match &*reference.expr {
            Expr::Array(array) => Some(array),
            _ => None,
        },
        _ => None,
    })?;
    let last = |path: &syn::Path| Some(path.segments.last()?.ident.to_string());
    let names = array.elems.iter().filter_map(|element| match element {
        Expr::Path(element) => last(&element.path),
        _ => None,
    });
    Some((last(&owner.path)?, names.collect()))
}

fn declares(line: &str, name: &str) -> bool {
    let mut words = line.split_whitespace().skip_while(|word| *word != "enum");
    words.next().is_some() && words.next() == Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(list: &str) -> Vec<String> {
        let text = format!("//! A.\n\npub enum Mode {{\n    One,\n    Two,\n}}\n\n{list}\n");
        check(&File::new("a.rs", &text))
    }

    #[test]
    fn a_variant_that_the_list_forgets_is_named() {
        let expected = ["a.rs:3: Mode::Two does not stand in Mode::ALL"];
        assert_eq!(complaints("impl Mode { const ALL: [Self; 1] = [Self::One]; }"), expected);
        assert_eq!(complaints("impl Mode { const ALL: &[Mode] = &[Mode::One]; }"), expected);
        let whole = "impl Mode { pub const ALL: [Self; 2] = [Self::Two, Self::One]; }";
        assert!(complaints(whole).is_empty());
    }

    #[test]
    fn a_list_of_something_else_is_left_alone() {
        assert!(complaints("").is_empty());
        assert!(complaints("impl Other { const ALL: [Self; 1] = [Self::One]; }").is_empty());
        assert!(complaints("pub const ALL: [u8; 1] = [1];").is_empty());
    }
}
