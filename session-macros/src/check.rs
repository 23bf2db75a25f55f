//! What makes a function no handler, each fault on the smallest wrong token.

use proc_macro2::Span;
use syn::{Error, FnArg, ReturnType, Safety, Type};

use crate::handler::Handler;

/// Reports all that is wrong at once.
pub(crate) fn check(handler: &Handler, errors: &mut Vec<Error>) {
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
            "a handler is asynchronous: write `async fn`",
        );
    }
    for input in &sig.inputs {
        match input {
            FnArg::Receiver(receiver) => {
                wrong(
                    receiver.self_token.span,
                    "a handler has no `self`: write an associated function without it",
                );
            }
            FnArg::Typed(parameter) => {
                if let Type::Reference(reference) = &*parameter.ty {
                    let wanted = if is_session(&reference.elem) {
                        "`#[session]` brings the session in as `session`: remove this parameter"
                    } else {
                        "an extractor cannot be a reference: write its type without `&`"
                    };
                    wrong(reference.and_token.span, wanted);
                }
            }
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
    if let Some(name) = handler.parameter_named_session() {
        wrong(
            name.span(),
            "`session` is the session that `#[session]` brings in: give this extractor another name",
        );
    }
}

/// Whether a type is called `Session`, by whichever path.
fn is_session(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Session"))
}
