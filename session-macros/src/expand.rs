//! The rewrite of a handler.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{FnArg, Pat, PatType, ReturnType, Safety, Signature, Token, Type};

use crate::admit::admit;
use crate::args::Args;
use crate::extractor_params::ExtractorParams;
use crate::handler::Handler;
use crate::loans::Loans;
use crate::output;

// Input:
//     #[session(require)]
//     async fn f(id: Path<u32>, cart: &mut Cart) -> impl Responder { body }
//
// Output:
//     async fn f(mut __call: ::bsession::__private::OnlyActixWebCallsThis)
//         -> ::bsession::__private::Saved<impl Responder>
//     {
//         if let Some(__refused) = __call.admit(const { &Gate::new().require() }).await {     // if required
//             return __refused;
//         }
//         let __extractors = Extractors::NONE;                                                // if there are any
//         let __extractors = __extractors.and::<Path<u32>>();                                 // for each, the last first
//         let __extracted = match __call.extract(__extractors).await {
//             Ok(__extracted) => __extracted,
//             Err(__refused) => return __refused,
//         };
//         let (__extractor, __extracted) = __extracted;                                       // for each
//         let id = __extractor;
//         let mut __view0 = __call.view::<Cart>();                                            // for each view
//         let __view0_mut = __view0.get_mut();
//         let __session = __call.session();
//         let __response = (async move |session: &mut _, cart: &mut _| -> _ {
//             if let ::core::option::Option::Some(__r) = ::core::option::Option::None::<_> { return __r; }
//             let session: &mut ::bsession::Session = session;                                    // `readonly`: `&`
//             let _ = &session;
//             let cart: &mut Cart = cart;
//             { body }
//         })(__session, __view0_mut)
//         .await;
//         __call.write(__view0);                                                              // for each `&mut` view
//         __call.save(__response).await
//     }
pub(crate) fn expand(args: &Args, handler: Handler) -> TokenStream {
    // Spans decide which lints see a token, and how an editor treats a name. The user's tokens keep the user's spans.
    // Generated tokens have the hygiene of `mixed_site`, so that no generated name clashes with a user's name.
    let ours = Span::mixed_site();
    let fix_type = fix_type(&handler.sig);
    let returned = returned(&handler.sig);
    let returns_future =
        matches!(&handler.sig.output, ReturnType::Type(_, ty) if output::may_be_future(ty));
    let save = save(&handler.sig);
    let session = bind_session(args, &handler);
    let Loans {
        take,
        params,
        values,
        bind,
        give_back,
        ..
    } = Loans::of(&handler);
    let Handler {
        attrs,
        vis,
        mut sig,
        brace,
        body,
        ..
    } = handler;

    let extractors = ExtractorParams::take(&mut sig);
    let admit = admit(args, &sig, &extractors);
    rewrite_signature(args, &extractors, &mut sig);
    // Located at the user's braces, and with the hygiene of generated code. Otherwise `unused_braces` fires at a
    // body on one line.
    let inner = ours.located_at(brace.span.join());
    let body = quote_spanned!(inner=> { #fix_type #session #bind { #body } });
    // Clippy takes a block whose value is a future for a forgotten `.await`, and does not look into a `match`. Elsewhere a
    // block is better: the compiler's errors point into it.
    let body = if returns_future {
        quote_spanned!(inner=> match () { () => #body })
    } else {
        quote_spanned!(inner=> -> #returned #body)
    };

    let mut output = quote!(#(#attrs)* #vis #sig);
    // These must be the user's own braces. With others, lints such as `dead_code` treat the function as generated code
    // and stay silent.
    brace.surround(&mut output, |block| {
        quote_spanned! {ours=>
            #admit
            #take
            let __session = __call.session();
            let __response = (async move |#params| #body)(#values).await;
            #give_back
            #save
        }
        .to_tokens(block);
    });
    output
}

/// Writes the binding `session`. The body's tokens find it, and an editor goes from them to the attribute.
/// Returns `None` if a parameter brings the session under another name.
fn bind_session(args: &Args, handler: &Handler) -> Option<TokenStream> {
    if handler.names_its_session() {
        return None;
    }
    let visible = Span::call_site().resolved_at(handler.brace.span.open());
    let taken = handler.parameter_named_session().is_some();
    // If a parameter has the name (an error that `check` reports), the body still means the parameter.
    let session = Ident::new("session", if taken { Span::mixed_site() } else { visible });
    // `let _` uses the binding, because a handler that only wants its session saved or purged need not name it.
    // `#[allow(unused_variables)]` would be an error where the user forbids that lint.
    let ours = Span::mixed_site();
    // Located at the word `readonly`: the compiler points there if the body needs a `mut`.
    let place = args
        .readonly
        .map_or(args.root().place(), |word| ours.located_at(word));
    let mutability = args.readonly.is_none().then(|| quote_spanned!(ours=> mut));
    let root = args.root().at(place);
    let ty = quote_spanned!(place=> &#mutability #root::Session);
    Some(quote_spanned! {ours=>
        let #session: #ty = session;
        let _ = &#session;
    })
}

/// Writes a return that is never taken. It comes first, so it fixes the type that the `return`s and `?`s of the body
/// are checked against. Without it the compiler guesses the type of the async closure from the first of them that it
/// sees, and it does so even if the closure has a return type.
fn fix_type(sig: &Signature) -> TokenStream {
    let (place, ty) = match &sig.output {
        ReturnType::Default => (sig.paren_token.span.close(), quote!(())),
        ReturnType::Type(arrow, ty) => (arrow.spans[0], output::inferred(ty).into_token_stream()),
    };
    quote_spanned! {Span::mixed_site().located_at(place)=>
        if let ::core::option::Option::Some(__r) = ::core::option::Option::None::<#ty> { return __r; }
    }
}

/// Writes the return type of the closure. It is located at the handler's, so that the error points there if the body
/// returns something that is lent.
fn returned(sig: &Signature) -> TokenStream {
    let place = match &sig.output {
        ReturnType::Default => sig.paren_token.span.close(),
        ReturnType::Type(_, ty) => ty.span(),
    };
    quote_spanned!(Span::mixed_site().located_at(place)=> _)
}

/// Writes the save. It is located at the return type, so that the error points there if that type is not a `Responder`.
fn save(sig: &Signature) -> Option<TokenStream> {
    let ReturnType::Type(_, ty) = &sig.output else {
        return None;
    };
    Some(quote_spanned!(Span::mixed_site().located_at(ty.span())=> __call.save(__response).await))
}

/// Adds the hidden extractor and wraps the return type. Leaves out everything that a handler cannot have (errors that
/// `check` reports), so that it does not cause a second error.
fn rewrite_signature(args: &Args, extractors: &ExtractorParams, sig: &mut Signature) {
    let ours = Span::mixed_site();
    sig.constness = None;
    sig.asyncness
        .get_or_insert(Token![async](sig.fn_token.span));
    sig.safety = Safety::Default;
    sig.abi = None;
    sig.variadic = None;

    let private = args.root().private();
    // Without a return type `admit` does not connect, so the extractor has to.
    let returns = matches!(sig.output, ReturnType::Type(..));
    let (call, call_ty) = if args.sessions.is_some() && returns {
        // Only the extractors need a `mut`: without them it would be a warning.
        let request = if extractors.is_empty() {
            quote_spanned!(ours=> __request)
        } else {
            quote_spanned!(ours=> mut __request)
        };
        (request, quote_spanned!(ours=> #private::Request))
    } else {
        (
            quote_spanned!(ours=> mut __call),
            quote_spanned!(ours=> #private::OnlyActixWebCallsThis),
        )
    };
    let hidden = PatType {
        attrs: Vec::new(),
        pat: Box::new(Pat::Verbatim(call)),
        colon_token: Token![:](ours),
        ty: Box::new(Type::Verbatim(call_ty)),
    };
    let first = usize::from(matches!(sig.inputs.first(), Some(FnArg::Receiver(_))));
    sig.inputs.insert(first, FnArg::Typed(hidden));

    if let ReturnType::Type(_, ty) = &mut sig.output {
        // Located at the type, as in `save`.
        let there = ours.located_at(ty.span());
        let private = args.root().private_at(there);
        **ty = Type::Verbatim(quote_spanned!(there=> #private::Saved<#ty>));
    }
}
