//! The names that a parameter's pattern binds.

use proc_macro2::Ident;
use syn::Pat;

/// Returns the places where `pattern` binds names, as in `Path(name)` and `Point { name, .. }`.
pub(crate) fn bindings(pattern: &Pat) -> Vec<&Ident> {
    let mut names = Vec::new();
    collect(pattern, &mut names);
    names
}

/// Returns the place where `pattern` binds `name`.
pub(crate) fn binding<'p>(pattern: &'p Pat, name: &str) -> Option<&'p Ident> {
    bindings(pattern).into_iter().find(|bound| *bound == name)
}

fn collect<'p>(pattern: &'p Pat, names: &mut Vec<&'p Ident>) {
    match pattern {
        Pat::Ident(bound) => {
            names.push(&bound.ident);
            if let Some((_, inner)) = &bound.subpat {
                collect(inner, names);
            }
        }
        // All cases bind the same names.
        Pat::Or(or) => or
            .cases
            .iter()
            .take(1)
            .for_each(|case| collect(case, names)),
        Pat::Paren(paren) => collect(&paren.pat, names),
        Pat::Reference(reference) => collect(&reference.pat, names),
        Pat::Slice(slice) => slice.elems.iter().for_each(|elem| collect(elem, names)),
        Pat::Struct(fields) => fields
            .fields
            .iter()
            .for_each(|field| collect(&field.pat, names)),
        Pat::Tuple(tuple) => tuple.elems.iter().for_each(|elem| collect(elem, names)),
        Pat::TupleStruct(tuple) => tuple.elems.iter().for_each(|elem| collect(elem, names)),
        _ => {}
    }
}
