//! The code that lends a handler its parameters, and that takes them back after the body.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::spanned::Spanned;
use syn::{Pat, TypeReference};

use crate::handler::{Handler, is_conditional};
use crate::lent::{Lent, What};

/// The code for the session and the parameters that a handler is lent. They are taken before the body, handed to the
/// closure that has the body, bound in it under the user's names, and given back after it.
///
/// They are parameters of the closure for the sake of the compiler's errors. If a parameter leaves the body, for example
/// into a stream, the error is: "`user` is a reference that is only valid in the closure body". For a captured variable
/// the error would be about a temporary value of the attribute that is dropped.
#[derive(Default)]
pub(crate) struct Loans {
    pub(crate) take: TokenStream,
    /// The parameters of the closure.
    pub(crate) params: TokenStream,
    /// The values of `params`.
    pub(crate) values: TokenStream,
    pub(crate) bind: TokenStream,
    pub(crate) give_back: TokenStream,
    /// The names of `params`.
    names: Vec<Ident>,
    /// The name of the session's binding.
    session: Option<Ident>,
}

impl Loans {
    pub(crate) fn of(handler: &Handler) -> Self {
        let mut loans = Self::default();
        let ours = Span::mixed_site();
        if !handler.names_its_session() {
            loans.pass(
                Ident::new("session", ours),
                &quote_spanned!(ours=> &mut _),
                quote_spanned!(ours=> __session),
            );
        }
        for (place, lent) in handler.lent.iter().enumerate() {
            if lent.is_unnamed() {
                continue; // an error that `check` reports
            }
            loans.add(place, lent);
        }
        loans
    }

    /// Hands a value to the closure.
    fn pass(&mut self, name: Ident, ty: &TokenStream, value: TokenStream) {
        let ours = Span::mixed_site();
        self.params.extend(quote_spanned!(ours=> #name: #ty,));
        self.values.extend(quote_spanned!(ours=> #value,));
        self.names.push(name);
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
        let there = ours.located_at(reference.and_token.span());
        let mutability = &reference.mutability;
        let mut passed = quote_spanned!(there=> &#mutability _);
        let mut ty = reference.to_token_stream();
        let mut value = match what {
            What::Session => match &self.session {
                // The second session is an error that `check` reports.
                Some(first) => first.to_token_stream(),
                None => quote_spanned!(ours=> __session),
            },
            What::User => {
                self.take
                    .extend(quote_spanned!(ours=> #(#conditions)* let __user = __call.user();));
                quote_spanned!(ours=> &__user)
            }
            What::Visitor => {
                self.take.extend(
                    quote_spanned!(ours=> #(#conditions)* let __visitor = __call.visitor();),
                );
                passed = quote_spanned!(there=> ::core::option::Option<#passed>);
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
        let name = name_in_messages(pat);
        // A call cannot have a conditional argument. A second parameter of one name is an error that `check` reports.
        let is_passed = *what == What::Session && self.session.is_some();
        if conditions.is_empty() && !is_passed && !self.names.contains(&name) {
            if *what == What::Session {
                self.session = Some(name.clone());
            }
            let param = name.to_token_stream();
            self.pass(name, &passed, value);
            value = param;
        }
        self.bind
            .extend(quote_spanned!(ours=> #(#attrs)* let #pat: #ty = #value;));
    }
}

/// Returns the name of a parameter for the compiler's messages, located at the user's pattern.
fn name_in_messages(pat: &Pat) -> Ident {
    let there = Span::mixed_site().located_at(pat.span());
    match pat {
        Pat::Ident(name) => {
            let mut name = name.ident.clone();
            name.set_span(there);
            name
        }
        _ => Ident::new("__lent", there),
    }
}
