async fn lent_wrong<'a>(
    mut __call: ::bsession::__private::OnlyActixWebCallsThis,
) -> ::bsession::__private::Saved<Html> {
    if let ::core::option::Option::Some(__refused) = __call
        .admit(const { &::bsession::__private::Gate::new().purge() })
        .await
    {
        return __refused;
    }
    __call.session().renew();
    let __user = __call.user();
    let mut __view3 = __call.view::<Cart>();
    let __view3_mut = __view3.get_mut();
    let mut __view4 = __call.view::<Cart>();
    let __view4_mut = __view4.get_mut();
    let __session = __call.session();
    let __response = (async move |user: &_, session: &mut _, cart: &_, same: &_| -> _ {
        if let ::core::option::Option::Some(__r) = ::core::option::Option::None::<Html> {
            return __r;
        }
        let user: &str = user;
        let session: &mut Session = session;
        let again: &Session = session;
        let cart: &Cart = cart;
        let same: &Cart = same;
        { page(session) }
    })(&__user, __session, __view3_mut, __view4_mut)
        .await;
    __call.save(__response).await
}
::core::compile_error! {
    "`renew` is given twice"
}
::core::compile_error! {
    "expected a span of time such as \"15m\": a whole number, and `s`, `m`, `h` or `d`"
}
::core::compile_error! {
    "expected `require` (who is logged in) or `require = \"key\"` (whose session has that key)"
}
::core::compile_error! {
    "expected `sessions = EXPR`, where `EXPR` gives a `bsession::Sessions`"
}
::core::compile_error! {
    "the user is read, not written: write `&str`"
}
::core::compile_error! {
    "a `readonly` handler changes nothing: remove `mut`"
}
::core::compile_error! {
    "`Session` is lent twice: remove this parameter"
}
::core::compile_error! {
    "what is lent lasts as long as the body: remove the lifetime"
}
::core::compile_error! {
    "`Cart` is lent twice: remove this parameter"
}
::core::compile_error! {
    "a view is of a type with a name: write it"
}
