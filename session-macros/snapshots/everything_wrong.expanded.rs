async fn everything_wrong(&self, mut __call: ::bsession::__private::Call) {
    let __session = __call.session();
    let __response = async move {
        if let ::core::option::Option::Some(__r) = ::core::option::Option::None::<()> {
            return __r;
        }
        let session: &Session = __session;
        { session.purge() }
    }
        .await;
}
::core::compile_error! {
    "expected one of: `csrf`, `fresh`, `lock`, `purge`, `readonly`, `realm`, `redirect`, `renew`, `require`"
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
    "a handler cannot be variadic: remove `...`"
}
::core::compile_error! {
    "a handler returns a response: write `-> impl Responder`"
}
