async fn guarded(
    (
        __csrf,
        mut __call,
        form,
    ): (
        ::bsession::__private::Csrf,
        ::bsession::__private::OnlyActixWebCallsThis,
        Form<Address>,
    ),
) -> ::bsession::__private::Saved<Html> {
    if let ::core::option::Option::Some(__refused) = __call
        .admit(
            ::bsession::__private::Gate::NONE
                .csrf(__csrf)
                .lock()
                .require()
                .fresh(900000u64)
                .redirect("/login")
                .renew(),
        )
        .await
    {
        return __refused;
    }
    let __user = __call.user();
    let __session = __call.session();
    let __response = async move {
        if let ::core::option::Option::Some(__r) = ::core::option::Option::None::<Html> {
            return __r;
        }
        let session: &mut ::bsession::Session = __session;
        let _ = &session;
        let user: &str = &__user;
        { greet(user) }
    }
        .await;
    __call.save(__response).await
}
