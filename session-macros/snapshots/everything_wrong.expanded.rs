async fn everything_wrong(
    &self,
    mut __call: ::bsession::__private::OnlyActixWebCallsThis,
) {
    let __session = __call.session();
    let __response = (async move |session: &_| -> _ {
        if let ::core::option::Option::Some(__r) = ::core::option::Option::None::<()> {
            return __r;
        }
        let session: &Session = session;
        { session.purge() }
    })(__session)
        .await;
}
::core::compile_error! {
    "there is no `purged`: did you mean `purge`?"
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
    "a handler is asynchronous: write `async fn`; a function that handlers call takes `&mut Session` and no `#[session]`"
}
::core::compile_error! {
    "a handler has no `self`: leave it out, and take what it is for as a `web::Data`"
}
::core::compile_error! {
    "a handler cannot be variadic: remove `...`"
}
::core::compile_error! {
    "a handler returns a response: write `-> impl Responder`"
}
