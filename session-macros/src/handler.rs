//! The function under the attribute.

use proc_macro2::{Ident, Span, TokenStream};
use syn::parse::{Parse, ParseStream};
use syn::token::Brace;
use syn::{
    Abi, AttrStyle, Attribute, Error, FnArg, ReturnType, Signature, Token, Type, Visibility, braced,
};

use crate::lent::{Lent, What, is_session};
use crate::pattern;

/// A function whose signature is known and whose body is not looked at.
///
/// The body is tokens and no statements, so that code which is still being typed keeps its
/// completion, and so that a body made by `macro_rules!` passes through as it is.
pub(crate) struct Handler {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    /// With the extractors alone for its parameters.
    pub(crate) sig: Signature,
    /// The other parameters.
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
        // The body becomes an inner block; on that, docs or `allow(dead_code)` would mean nothing.
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
    /// Whether the session comes as a parameter, under the user's own name, and not as `session`.
    pub(crate) fn names_its_session(&self) -> bool {
        self.lent.iter().any(|lent| lent.what == What::Session)
    }

    /// The name `session` among the parameters, where the injected one would hide it.
    pub(crate) fn parameter_named_session(&self) -> Option<&Ident> {
        if self.names_its_session() {
            return None;
        }
        let extractors = self.sig.inputs.iter().filter_map(|input| match input {
            // One that is called `Session` is another error.
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

/// Whether the attribute has been here before, under whatever name it was imported: a handler
/// that it has rewritten returns `::bsession::__private::Saved`.
fn is_rewritten(sig: &Signature) -> bool {
    let ReturnType::Type(_, ty) = &sig.output else {
        return false;
    };
    let Type::Path(ty) = &**ty else { return false };
    let names = ty.path.segments.iter().map(|segment| &segment.ident);
    ty.path.leading_colon.is_some() && names.eq(["bsession", "__private", "Saved"])
}

/// Whether the compiler may take away what the attribute stands on.
pub(crate) fn is_conditional(attr: &Attribute) -> bool {
    attr.path().is_ident("cfg") || attr.path().is_ident("cfg_attr")
}
