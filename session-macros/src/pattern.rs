//! The names that a parameter's pattern binds.

use proc_macro2::Ident;
use syn::Pat;

/// Returns the place where `pattern` binds `name`, as in `Path(name)` and `Point { name, .. }`.
pub(crate) fn binding<'p>(pattern: &'p Pat, name: &str) -> Option<&'p Ident> {
    let within = |inner: &'p Pat| binding(inner, name);
    match pattern {
        Pat::Ident(bound) if bound.ident == name => Some(&bound.ident),
        Pat::Ident(bound) => bound.subpat.as_ref().and_then(|(_, inner)| within(inner)),
        Pat::Or(or) => or.cases.iter().find_map(within),
        Pat::Paren(paren) => within(&paren.pat),
        Pat::Reference(reference) => within(&reference.pat),
        Pat::Slice(slice) => slice.elems.iter().find_map(within),
        Pat::Struct(fields) => fields.fields.iter().find_map(|field| within(&field.pat)),
        Pat::Tuple(tuple) => tuple.elems.iter().find_map(within),
        Pat::TupleStruct(tuple) => tuple.elems.iter().find_map(within),
        _ => None,
    }
}
