async fn contradictory(
    mut __call: ::bsession::__private::OnlyActixWebCallsThis,
) -> ::bsession::__private::Saved<Html> {
    if let ::core::option::Option::Some(__refused) = __call
        .admit(const { &::bsession::__private::Gate::new().purge() })
        .await
    {
        return __refused;
    }
    __call.session().renew();
    let mut __view0 = __call.view::<Cart>();
    let __view0_mut = __view0.get_mut();
    let __user = __call.user();
    let __user = __call.user();
    let __session = __call.session();
    let __response = (async move |session: &mut _, user: &_, name: &_| -> _ {
        if let ::core::option::Option::Some(__r) = ::core::option::Option::None::<Html> {
            return __r;
        }
        let session: &::bsession::Session = session;
        let _ = &session;
        let session: &mut Cart = __view0_mut;
        let user: &str = user;
        let name: &str = name;
        { page(session) }
    })(__session, &__user, &__user)
        .await;
    __call.write(__view0);
    __call.save(__response).await
}
::core::compile_error! {
    "`purge` ends the session and `readonly` leaves it as it is: remove one of them"
}
::core::compile_error! {
    "`renew` changes the session's id and `readonly` leaves it as it is: remove one of them"
}
::core::compile_error! {
    "`purge` leaves no session to renew: remove `renew`"
}
::core::compile_error! {
    "`session` is the session that `#[session]` brings in: give this parameter another name"
}
::core::compile_error! {
    "a `readonly` handler changes nothing: remove `mut`"
}
::core::compile_error! {
    "`&str` is the user who is logged in: write `#[session(require)]`, or `user: Option<&str>` on a page that is open to everybody"
}
::core::compile_error! {
    "`&str` is the user who is logged in: write `#[session(require)]`, or `user: Option<&str>` on a page that is open to everybody"
}
::core::compile_error! {
    "`str` is lent twice: remove this parameter"
}
