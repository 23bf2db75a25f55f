async fn visitor(
    mut __call: ::bsession::__private::OnlyActixWebCallsThis,
) -> ::bsession::__private::Saved<String> {
    if let ::core::option::Option::Some(__refused) = __call
        .admit(const { &::bsession::__private::Gate::new().quiet() })
        .await
    {
        return __refused;
    }
    let __visitor = __call.visitor();
    let __session = __call.session();
    let __response = (async move |
        session: &mut _,
        user: ::core::option::Option<&_>,
    | -> _ {
        if let ::core::option::Option::Some(__r) = ::core::option::Option::None::<
            String,
        > {
            return __r;
        }
        let session: &mut ::bsession::Session = session;
        let _ = &session;
        let user: ::core::option::Option<&str> = user;
        { user.unwrap_or("a stranger").to_owned() }
    })(__session, __visitor.as_deref())
        .await;
    __call.save(__response).await
}
