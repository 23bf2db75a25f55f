//! Reports the faults of a function that cannot be a handler, each on the smallest wrong token.

use proc_macro2::{Ident, Span};
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{Error, FnArg, ReturnType, Safety, Type};

use crate::args::Args;
use crate::handler::{Handler, is_conditional};
use crate::lent::{Lent, What, is_session};
use crate::pattern;

/// Reports all faults at once.
pub(crate) fn check(args: &Args, handler: &Handler, errors: &mut Vec<Error>) {
    check_signature(handler, errors);
    for input in &handler.sig.inputs {
        check_extractor(args, input, errors);
    }
    for (place, lent) in handler.lent.iter().enumerate() {
        check_lent(args, lent, &handler.lent[..place], errors);
    }
    check_names(handler, errors);
}

/// Reports a name that two parameters have. They are no parameters of one function after the rewrite, so the compiler
/// would let the second one hide the first.
fn check_names(handler: &Handler, errors: &mut Vec<Error>) {
    let extractors = handler.sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(extractor) => Some((&extractor.attrs, &*extractor.pat)),
        FnArg::Receiver(_) => None,
    });
    let lent = handler.lent.iter().map(|lent| (&lent.attrs, &lent.pat));
    let mut names: Vec<&Ident> = Vec::new();
    for (attrs, pattern) in extractors.chain(lent) {
        // Of two parameters with `#[cfg]`, the compiler may remove one.
        if attrs.iter().any(is_conditional) {
            continue;
        }
        for name in pattern::bindings(pattern) {
            if names.contains(&name) {
                let message = format!("`{name}` is the name of another parameter: rename this one");
                errors.push(Error::new(name.span(), message));
            }
            names.push(name);
        }
    }
}

fn check_signature(handler: &Handler, errors: &mut Vec<Error>) {
    let sig = &handler.sig;
    let mut wrong = |span: Span, message: &str| errors.push(Error::new(span, message));

    if let Some(token) = &sig.constness {
        wrong(token.span, "a handler cannot be `const`: write `async fn`");
    }
    if let Safety::Unsafe(token) = &sig.safety {
        wrong(
            token.span,
            "a handler cannot be `unsafe`: write `async fn`, and `unsafe { .. }` in its body",
        );
    }
    if let Some(abi) = &sig.abi {
        wrong(
            abi.extern_token.span,
            "a handler cannot be `extern`: write `async fn`",
        );
    }
    if sig.asyncness.is_none() {
        wrong(
            sig.fn_token.span,
            "a handler is asynchronous: write `async fn`; a function that handlers call takes `&mut Session` and no `#[session]`",
        );
    }
    for input in &sig.inputs {
        if let FnArg::Receiver(receiver) = input {
            wrong(
                receiver.self_token.span,
                "a handler has no `self`: leave it out, and take what it is for as a `web::Data`",
            );
        }
    }
    if let Some(variadic) = &sig.variadic {
        wrong(
            variadic.dots.spans[0],
            "a handler cannot be variadic: remove `...`",
        );
    }
    if matches!(sig.output, ReturnType::Default) {
        wrong(
            sig.paren_token.span.close(),
            "a handler returns a response: write `-> impl Responder`",
        );
    }
    if let Some(name) = handler.own_name_session() {
        wrong(
            name.span(),
            "`session` is the session that `#[session]` brings in: give this handler another name",
        );
    }
    if let Some(name) = handler.parameter_named_session() {
        wrong(
            name.span(),
            "`session` is the session that `#[session]` brings in: give this parameter another name",
        );
    }
}

/// Reports a parameter that should be lent from the session and is written as an extractor.
fn check_extractor(args: &Args, input: &FnArg, errors: &mut Vec<Error>) {
    let FnArg::Typed(parameter) = input else {
        return;
    };
    let ty = &*parameter.ty;
    let message = if is_session(ty) {
        "the session is lent: write `&mut Session`, or leave this parameter out"
    } else if args.has_user()
        && matches!(ty, Type::Path(ty) if ty.path.is_ident("String"))
        && pattern::binding(&parameter.pat, "user").is_some()
    {
        "`String` is the body of the request, whatever it says: write `&str` for the user who is logged in"
    } else {
        return;
    };
    errors.push(Error::new(ty.span(), message));
}

/// Reports a parameter that cannot be lent. `earlier` are the lent parameters before it.
fn check_lent(args: &Args, lent: &Lent, earlier: &[Lent], errors: &mut Vec<Error>) {
    let ty = &lent.ty;
    let mut wrong = |span: Span, message: &str| errors.push(Error::new(span, message));

    if let Some(lifetime) = ty
        .lifetime
        .as_ref()
        .filter(|lifetime| lifetime.ident != "_")
    {
        wrong(
            lifetime.span(),
            "what is lent lasts as long as the body: remove the lifetime",
        );
    }
    if let Some(token) = ty.mutability {
        if lent.what.is_read_only() {
            wrong(token.span, "the user is read, not written: write `&str`");
        } else if args.readonly.is_some() {
            wrong(
                token.span,
                "a `readonly` handler changes nothing: remove `mut`",
            );
        }
    }
    if lent.what == What::User && !args.has_user() && args.is_whole {
        wrong(
            ty.span(),
            "`&str` is the user who is logged in: write `#[session(require)]`, or `user: Option<&str>` on a page that is open to everybody",
        );
    }
    if lent.what == What::Visitor && pattern::binding(&lent.pat, "user").is_none() {
        wrong(
            lent.pat.span(),
            "an `Option<&str>` is the user, if one is logged in: call it `user`",
        );
    }
    if lent.is_unnamed() {
        wrong(ty.elem.span(), "a view is of a type with a name: write it");
    }
    let is_same = |other: &&Lent| match lent.what {
        What::View => other.what == What::View && name_of(&other.ty.elem) == name_of(&ty.elem),
        what => other.what == what,
    };
    if earlier.iter().any(|other| is_same(&other)) {
        let name = name_of(&ty.elem);
        wrong(
            ty.elem.span(),
            &format!("`{name}` is lent twice: remove this parameter"),
        );
    }
}

fn name_of(ty: &Type) -> String {
    ty.to_token_stream().to_string()
}
