//! The code that lends a handler its parameters, and that takes them back after the body.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::TypeReference;
use syn::spanned::Spanned;

use crate::handler::is_conditional;
use crate::lent::{Lent, What};

/// The code for the parameters that a handler is lent. They are taken before the body, bound in it under the user's
/// names, and given back after it.
#[derive(Default)]
pub(crate) struct Loans {
    pub(crate) take: TokenStream,
    pub(crate) bind: TokenStream,
    pub(crate) give_back: TokenStream,
}

impl Loans {
    pub(crate) fn of(lent: &[Lent]) -> Self {
        let mut loans = Self::default();
        for (place, lent) in lent.iter().enumerate() {
            if lent.is_unnamed() {
                continue; // an error that `check` reports
            }
            loans.add(place, lent);
        }
        loans
    }

    fn add(&mut self, place: usize, lent: &Lent) {
        let Lent {
            attrs,
            pat,
            ty,
            what,
        } = lent;
        // Leaves out what `check` reports as an error, so that it does not cause a second error.
        let reference = TypeReference {
            lifetime: None,
            mutability: ty.mutability.filter(|_| !what.is_read_only()),
            ..ty.clone()
        };
        let ours = Span::mixed_site();
        let conditions: Vec<_> = attrs.iter().filter(|attr| is_conditional(attr)).collect();
        let mut ty = reference.to_token_stream();
        let value = match what {
            What::Session => quote_spanned!(ours=> __session),
            What::User => {
                self.take
                    .extend(quote_spanned!(ours=> #(#conditions)* let __user = __call.user();));
                quote_spanned!(ours=> &__user)
            }
            What::Visitor => {
                self.take.extend(
                    quote_spanned!(ours=> #(#conditions)* let __visitor = __call.visitor();),
                );
                ty = quote_spanned!(ours=> ::core::option::Option<#ty>);
                quote_spanned!(ours=> __visitor.as_deref())
            }
            What::View => {
                let view = Ident::new(&format!("__view{place}"), ours);
                let view_mut = Ident::new(&format!("__view{place}_mut"), ours);
                let elem = &reference.elem;
                // Located at the type, so that the error points there if that type is not a view.
                let there = ours.located_at(elem.span());
                let load = quote_spanned!(there=> __call.view::<#elem>());
                self.take.extend(quote_spanned! {ours=>
                    #(#conditions)* let mut #view = #load;
                    #(#conditions)* let #view_mut = #view.get_mut();
                });
                if reference.mutability.is_some() {
                    self.give_back
                        .extend(quote_spanned!(ours=> #(#conditions)* __call.write(#view);));
                }
                view_mut.to_token_stream()
            }
        };
        self.bind
            .extend(quote_spanned!(ours=> #(#attrs)* let #pat: #ty = #value;));
    }
}
