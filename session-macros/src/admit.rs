//! The code before the body: the gate, the extractors, and the service of `sessions`.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, ReturnType, Signature};

use crate::args::{Args, Redirect};
use crate::extractor_params::ExtractorParams;

/// Writes the code before the body.
///
/// The gate comes first. A refused request runs no extractor, and its body is not read. Only with `sessions = EXPR`
/// the extractors come first, because the expression may use them.
pub(crate) fn admit(
    args: &Args,
    sig: &Signature,
    extractors: &ExtractorParams,
) -> Option<TokenStream> {
    // Without a return type (an error that `check` reports) there is nothing to return.
    let ReturnType::Type(..) = &sig.output else {
        return None;
    };
    let ours = Span::mixed_site();
    let gate = gate(args);
    let renew = args
        .renew
        .map(|_| quote_spanned!(ours=> __call.session().renew();));
    let Some(service) = &args.sessions else {
        let extract = extractors.run(args.root(), &quote_spanned!(ours=> __call));
        return Some(quote!(#gate #extract #renew));
    };
    let connect = connect(service);
    let extract = extractors.run(args.root(), &quote_spanned!(ours=> __request));
    // The extractors take the body, which may have the CSRF token in it.
    let look_ahead = args
        .csrf
        .filter(|_| extract.is_some())
        .map(|_| quote_spanned!(ours=> __request.look_ahead().await;));
    Some(quote!(#look_ahead #extract #connect #gate #renew))
}

/// Writes the connection to the service that the handler names.
fn connect(service: &Expr) -> TokenStream {
    let ours = Span::mixed_site();
    let connect = quote_spanned!(ours.located_at(service.span())=> __request.connect(&(#service)));
    quote_spanned! {ours=>
        let mut __call = match #connect.await {
            ::core::result::Result::Ok(__call) => __call,
            ::core::result::Result::Err(__refused) => return __refused,
        };
    }
}

/// Writes the gate, which returns early with the response of a refused request. Nothing if the handler has no
/// requirement.
fn gate(args: &Args) -> Option<TokenStream> {
    let ours = Span::mixed_site();
    let private = args.root().private();
    let words = words(args);
    (!words.is_empty()).then(|| {
        quote_spanned! {ours=>
            if let ::core::option::Option::Some(__refused) = __call
                .admit(const { &#private::Gate::new() #words })
                .await
            {
                return __refused;
            }
        }
    })
}

/// Writes the arguments as calls of the methods of `Gate`.
fn words(args: &Args) -> TokenStream {
    let ours = Span::mixed_site();
    let flag = |word: Option<Span>, call: TokenStream| word.map(|_| call);
    let csrf = flag(args.csrf, quote_spanned!(ours=> .csrf()));
    let lock = flag(args.lock, quote_spanned!(ours=> .lock()));
    let purge = flag(args.purge, quote_spanned!(ours=> .purge()));
    let quiet = flag(args.quiet, quote_spanned!(ours=> .quiet()));
    let require = flag(args.require, quote_spanned!(ours=> .require()));
    let require_key = args
        .require_key
        .as_ref()
        .map(|key| quote_spanned!(ours=> .require_key(#key)));
    let fresh = args
        .fresh
        .as_ref()
        .map(|millis| quote_spanned!(ours=> .fresh(::core::time::Duration::from_millis(#millis))));
    let redirect = args
        .redirect
        .as_ref()
        .map(|Redirect { path, .. }| quote_spanned!(ours=> .redirect(#path)));
    quote!(#csrf #lock #require #require_key #fresh #redirect #quiet #purge)
}
