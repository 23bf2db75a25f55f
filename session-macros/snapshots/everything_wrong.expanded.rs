async fn everything_wrong(
    &self,
    (session, mut __call): (&Session, ::bsession::__private::Call),
) {
    __call.purge();
    let __session: &mut ::bsession::Session = __call.session();
    let __response = async move {
        if let ::core::option::Option::Some(__r) = ::core::option::Option::None::<()> {
            return __r;
        }
        let session = __session;
        let _ = &session;
        { session.purge() }
    }
        .await;
}
::core::compile_error! {
    "expected `#[session]` or `#[session(purge)]`"
}
::core::compile_error! {
    "`purge` is given twice"
}
::core::compile_error! {
    "a handler cannot be `const`: write `async fn`"
}
::core::compile_error! {
    "a handler cannot be `unsafe`: write `async fn`, and `unsafe { .. }` in its body"
}
::core::compile_error! {
    "a handler cannot be `extern`: write `async fn`"
}
::core::compile_error! {
    "a handler is asynchronous: write `async fn`"
}
::core::compile_error! {
    "a handler has no `self`: write an associated function without it"
}
::core::compile_error! {
    "`#[session]` brings the session in as `session`: remove this parameter"
}
::core::compile_error! {
    "a handler cannot be variadic: remove `...`"
}
::core::compile_error! {
    "a handler returns a response: write `-> impl Responder`"
}
::core::compile_error! {
    "`session` is the session that `#[session]` brings in: give this extractor another name"
}
