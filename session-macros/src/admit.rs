//! The code before the body: it connects to the service of `sessions`, and checks the other arguments.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{ReturnType, Signature};

use crate::args::{Args, Redirect, Requirement};

/// Writes code that connects, and that returns early with the response of a request that is refused.
pub(crate) fn admit(args: &Args, sig: &Signature) -> Option<TokenStream> {
    // Without a return type (an error that `check` reports) there is nothing to return.
    let ReturnType::Type(..) = &sig.output else {
        return None;
    };
    let ours = Span::mixed_site();
    let connect = args.sessions.as_ref().map(|service| {
        let connect =
            quote_spanned!(ours.located_at(service.span())=> __request.connect(&(#service)));
        quote_spanned! {ours=>
            let mut __call = match #connect.await {
                ::core::result::Result::Ok(__call) => __call,
                ::core::result::Result::Err(__refused) => return __refused,
            };
        }
    });
    let words = words(args);
    let admit = (!words.is_empty()).then(|| {
        quote_spanned! {ours=>
            if let ::core::option::Option::Some(__refused) = __call
                .admit(::bsession::__private::Gate::NONE #words)
                .await
            {
                return __refused;
            }
        }
    });
    Some(quote!(#connect #admit))
}

/// Writes the arguments as calls of the methods of `Gate`.
fn words(args: &Args) -> TokenStream {
    let ours = Span::mixed_site();
    let flag = |word: Option<Span>, call: TokenStream| word.map(|_| call);
    let csrf = flag(args.csrf, quote_spanned!(ours=> .csrf(__csrf)));
    let lock = flag(args.lock, quote_spanned!(ours=> .lock()));
    let purge = flag(args.purge, quote_spanned!(ours=> .purge()));
    let renew = flag(args.renew, quote_spanned!(ours=> .renew()));
    let require = args.require.as_ref().map(|require| match require {
        Requirement::User => quote_spanned!(ours=> .require()),
        Requirement::Key(key) => quote_spanned!(ours=> .require_key(#key)),
    });
    let fresh = args
        .fresh
        .as_ref()
        .map(|millis| quote_spanned!(ours=> .fresh(#millis)));
    let redirect = args
        .redirect
        .as_ref()
        .map(|Redirect { path, .. }| quote_spanned!(ours=> .redirect(#path)));
    quote!(#csrf #lock #require #fresh #redirect #purge #renew)
}
