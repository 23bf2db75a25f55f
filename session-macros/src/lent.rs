//! Parameters of reference type: the parts of its session that a handler is lent.

use syn::{Attribute, FnArg, GenericArgument, Pat, PatType, PathArguments, Type, TypeReference};

/// A parameter that is bound from the session and is not an extractor.
pub(crate) struct Lent {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) pat: Pat,
    pub(crate) ty: TypeReference,
    pub(crate) what: What,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// The session itself.
    Session,
    /// The name of the user who is logged in.
    User,
    /// The name of the user, if one is logged in: `user: Option<&str>`.
    Visitor,
    /// Some of the session's keys, as the fields of a type.
    View,
}

impl What {
    /// True for a parameter that the body cannot change: the user's name.
    pub(crate) fn is_read_only(self) -> bool {
        matches!(self, Self::User | Self::Visitor)
    }
}

impl Lent {
    /// Returns `None` if the parameter is an extractor.
    pub(crate) fn of(input: &FnArg) -> Option<Self> {
        let FnArg::Typed(PatType { attrs, pat, ty, .. }) = input else {
            return None;
        };
        let (ty, what) = match reference(ty) {
            Some(ty) => (ty, what(&ty.elem)),
            None => (optional_str(ty)?, What::Visitor),
        };
        Some(Self {
            attrs: attrs.clone(),
            pat: Pat::clone(pat),
            what,
            ty: ty.clone(),
        })
    }

    /// True for a view of a type that has no name: `impl Trait` or `dyn Trait`.
    pub(crate) fn is_unnamed(&self) -> bool {
        self.what == What::View
            && matches!(&*self.ty.elem, Type::ImplTrait(_) | Type::TraitObject(_))
    }
}

/// Returns the reference, also from inside the invisible parentheses that a `macro_rules!` macro leaves around a type.
fn reference(ty: &Type) -> Option<&TypeReference> {
    match ty {
        Type::Reference(reference) => Some(reference),
        Type::Group(group) => reference(&group.elem),
        Type::Paren(paren) => reference(&paren.elem),
        _ => None,
    }
}

/// Returns the reference of `Option<&str>`, which can be no extractor.
fn optional_str(ty: &Type) -> Option<&TypeReference> {
    let option = match ty {
        Type::Group(group) => return optional_str(&group.elem),
        Type::Paren(paren) => return optional_str(&paren.elem),
        Type::Path(ty) => ty.path.segments.last()?,
        _ => return None,
    };
    let PathArguments::AngleBracketed(arguments) = &option.arguments else {
        return None;
    };
    match arguments.args.first() {
        Some(GenericArgument::Type(ty)) if option.ident == "Option" => {
            reference(ty).filter(|ty| what(&ty.elem) == What::User)
        }
        _ => None,
    }
}

/// True if a type is called `Session`, by any path.
pub(crate) fn is_session(ty: &Type) -> bool {
    matches!(ty, Type::Path(ty) if ty.path.segments.last().is_some_and(|last| last.ident == "Session"))
}

fn what(ty: &Type) -> What {
    match ty {
        Type::Group(group) => what(&group.elem),
        Type::Paren(paren) => what(&paren.elem),
        Type::Path(ty) if ty.path.is_ident("str") => What::User,
        ty if is_session(ty) => What::Session,
        _ => What::View,
    }
}
