//! The parameters that actix-web extracts. They leave the signature, and are extracted in the body, after the gate.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote_spanned;
use syn::spanned::Spanned;
use syn::{FnArg, PatType, ReturnType, Signature};

use crate::handler::is_conditional;
use crate::lent::is_session;
use crate::root::Root;

/// The extractors of a handler.
pub(crate) struct ExtractorParams(Vec<PatType>);

impl ExtractorParams {
    /// Takes the extractors out of a signature. What cannot be one (an error that `check` reports) stays there. So do
    /// all of them without a return type, since the body has nothing to return then if one fails.
    pub(crate) fn take(sig: &mut Signature) -> Self {
        let mut extractors = Vec::new();
        if matches!(sig.output, ReturnType::Default) {
            return Self(extractors);
        }
        sig.inputs = std::mem::take(&mut sig.inputs)
            .into_iter()
            .filter_map(|input| match input {
                FnArg::Typed(parameter) if !is_session(&parameter.ty) => {
                    extractors.push(parameter);
                    None
                }
                other => Some(other),
            })
            .collect();
        Self(extractors)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes the code that runs the extractors and binds the parameters. `from` is the call, or the request before it
    /// is connected.
    ///
    /// The types are listed from the last to the first, as nested pairs `(A, (B, (C, ())))`. The first extractor is
    /// thus created first, as actix-web does it. Parameters are bound, and dropped, in their order in the signature.
    pub(crate) fn run(&self, root: Root<'_>, from: &TokenStream) -> Option<TokenStream> {
        let ours = Span::mixed_site();
        let types = self.0.iter().rev().map(|PatType { attrs, ty, .. }| {
            let conditions = attrs.iter().filter(|attr| is_conditional(attr));
            // Located at the type, so that the error points there if that type is no extractor.
            let there = ours.located_at(ty.span());
            // `and` has exactly the span of the type. Its error is then the same as that of `check`, and is not shown twice.
            let and = Ident::new("and", ty.span());
            let and = quote_spanned!(there=> __extractors.check::<#ty>().#and::<#ty>());
            quote_spanned!(ours=> #(#conditions)* let __extractors = #and;)
        });
        let bindings = self.0.iter().map(|PatType { attrs, pat, .. }| {
            let conditions = attrs.iter().filter(|attr| is_conditional(attr));
            // Located at the pattern, so that the error points there if the pattern does not always match.
            let there = ours.located_at(pat.span());
            let bind = quote_spanned!(there=> #(#attrs)* let #pat = __extractor;);
            quote_spanned! {ours=>
                #(#conditions)* let (__extractor, __extracted) = __extracted;
                #bind
            }
        });
        // With one extractor, a second error of it stands at the same place, and the compiler shows it once.
        let there = match &self.0[..] {
            [] => return None,
            [only] => ours.located_at(only.ty.span()),
            _ => ours,
        };
        let private = root.private();
        let extract = quote_spanned!(there=> #from.extract(__extractors).await);
        Some(quote_spanned! {ours=>
            let __extractors = #private::Extractors::NONE;
            #(#types)*
            let __extracted = match #extract {
                ::core::result::Result::Ok(__extracted) => __extracted,
                ::core::result::Result::Err(__refused) => return __refused,
            };
            #(#bindings)*
        })
    }
}
