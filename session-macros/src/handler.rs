//! The function under the attribute.

use proc_macro2::{Ident, Span, TokenStream};
use syn::parse::{Parse, ParseStream};
use syn::token::Brace;
use syn::{
    Abi, AttrStyle, Attribute, Error, FnArg, ReturnType, Signature, Token, Type, Visibility, braced,
};

use crate::lent::{Lent, What, is_session};
use crate::pattern;

/// A function whose signature is parsed and whose body is not.
///
/// The body is kept as tokens, not as statements. Code that is still being typed thus keeps its completion, and a body
/// made by `macro_rules!` passes through unchanged.
pub(crate) struct Handler {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    /// The signature, with only the extractors as parameters.
    pub(crate) sig: Signature,
    /// The parameters that are lent from the session.
    pub(crate) lent: Vec<Lent>,
    pub(crate) brace: Brace,
    pub(crate) body: TokenStream,
}

impl Parse for Handler {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        if !starts_a_function(input) {
            return Err(input.error("expected `async fn`: `#[session]` goes above a handler"));
        }
        let mut sig: Signature = input.parse()?;
        if is_rewritten(&sig) {
            return Err(Error::new(
                Span::call_site(),
                "a handler has one `#[session]`: remove this one",
            ));
        }
        if !input.peek(Brace) {
            return Err(input.error("expected `{`: a handler has a body"));
        }
        let content;
        let brace = braced!(content in input);
        // The body becomes an inner block, on which docs or `allow(dead_code)` would have no effect.
        for attr in content.call(Attribute::parse_inner)? {
            attrs.push(Attribute {
                style: AttrStyle::Outer,
                ..attr
            });
        }
        let body = content.parse()?;
        let lent = sig.inputs.iter().filter_map(Lent::of).collect();
        sig.inputs = sig
            .inputs
            .into_iter()
            .filter(|input| Lent::of(input).is_none())
            .collect();
        Ok(Self {
            attrs,
            vis,
            sig,
            lent,
            brace,
            body,
        })
    }
}

impl Handler {
    /// True if the session comes as a parameter, under a name that the user gave, and not as `session`.
    pub(crate) fn names_its_session(&self) -> bool {
        self.lent.iter().any(|lent| lent.what == What::Session)
    }

    /// Returns the function's name if it is `session`: the injected binding would hide it.
    pub(crate) fn own_name_session(&self) -> Option<&Ident> {
        Some(&self.sig.ident).filter(|name| *name == "session" && !self.names_its_session())
    }

    /// Returns the name `session` if a parameter has it: the injected binding would hide that parameter.
    pub(crate) fn parameter_named_session(&self) -> Option<&Ident> {
        if self.names_its_session() {
            return None;
        }
        let extractors = self.sig.inputs.iter().filter_map(|input| match input {
            // A parameter of a type `Session` is reported as another error.
            FnArg::Typed(parameter) if is_session(&parameter.ty) => None,
            FnArg::Typed(parameter) => Some(&*parameter.pat),
            FnArg::Receiver(_) => None,
        });
        let lent = self.lent.iter().map(|lent| &lent.pat);
        extractors
            .chain(lent)
            .find_map(|pat| pattern::binding(pat, "session"))
    }
}

fn starts_a_function(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    ahead.parse::<Option<Token![const]>>().is_ok()
        && ahead.parse::<Option<Token![async]>>().is_ok()
        && ahead.parse::<Option<Token![unsafe]>>().is_ok()
        && ahead.parse::<Option<Abi>>().is_ok()
        && ahead.peek(Token![fn])
}

/// True if the attribute has rewritten this function already, under any name that it was imported by. A rewritten
/// handler returns `::bsession::__private::Saved`, or that of the path that `crate = path` gave.
fn is_rewritten(sig: &Signature) -> bool {
    let ReturnType::Type(_, ty) = &sig.output else {
        return false;
    };
    let Type::Path(ty) = &**ty else { return false };
    let mut names = ty.path.segments.iter().map(|segment| &segment.ident).rev();
    names.next().is_some_and(|last| last == "Saved")
        && names.next().is_some_and(|parent| parent == "__private")
}

/// True if the compiler may remove the item that has this attribute.
pub(crate) fn is_conditional(attr: &Attribute) -> bool {
    attr.path().is_ident("cfg") || attr.path().is_ident("cfg_attr")
}
