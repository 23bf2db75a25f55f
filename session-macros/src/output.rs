//! The return type of a handler.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::{GenericArgument, Path, PathArguments, Type, TypeParamBound};

/// Returns the type with `_` for every `impl Trait`, which is only allowed in a signature:
/// `Result<impl Responder, Error>` becomes `Result<_, Error>`.
pub(crate) fn inferred(ty: &Type) -> Type {
    let mut ty = ty.clone();
    infer(&mut ty);
    ty
}

/// True if a value of this type may be a response that is also a future: an unfinished `HttpResponseBuilder`.
pub(crate) fn may_be_future(ty: &Type) -> bool {
    match ty {
        Type::ImplTrait(_) => true,
        Type::Group(group) => may_be_future(&group.elem),
        Type::Paren(paren) => may_be_future(&paren.elem),
        Type::Path(ty) => {
            let last = ty.path.segments.last();
            last.is_some_and(|last| last.ident == "HttpResponseBuilder")
        }
        _ => false,
    }
}

fn infer(ty: &mut Type) {
    match ty {
        Type::ImplTrait(_) => *ty = Type::Verbatim(underscore()),
        Type::Array(array) => infer(&mut array.elem),
        Type::Group(group) => infer(&mut group.elem),
        Type::Paren(paren) => infer(&mut paren.elem),
        Type::Path(path) => infer_in_path(&mut path.path),
        Type::Ptr(pointer) => infer(&mut pointer.elem),
        Type::Reference(reference) => infer(&mut reference.elem),
        Type::Slice(slice) => infer(&mut slice.elem),
        Type::TraitObject(object) => {
            for bound in &mut object.bounds {
                if let TypeParamBound::Trait(bound) = bound {
                    infer_in_path(&mut bound.path);
                }
            }
        }
        Type::Tuple(tuple) => tuple.elems.iter_mut().for_each(infer),
        _ => {}
    }
}

fn infer_in_path(path: &mut Path) {
    for segment in &mut path.segments {
        let PathArguments::AngleBracketed(arguments) = &mut segment.arguments else {
            continue;
        };
        for argument in &mut arguments.args {
            match argument {
                GenericArgument::Type(ty) => infer(ty),
                GenericArgument::AssocType(assoc) => infer(&mut assoc.ty),
                _ => {}
            }
        }
    }
}

fn underscore() -> TokenStream {
    quote_spanned!(Span::mixed_site()=> _)
}
