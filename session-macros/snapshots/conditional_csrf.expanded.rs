async fn conditional_csrf(
    (
        __csrf,
        mut __call,
    ): (::bsession::__private::Csrf, ::bsession::__private::OnlyActixWebCallsThis),
    #[cfg(shop)]
    order: Form<Order>,
    id: Path<u32>,
) -> ::bsession::__private::Saved<String> {
    if let ::core::option::Option::Some(__refused) = __call
        .admit(::bsession::__private::Gate::NONE.csrf(__csrf))
        .await
    {
        return __refused;
    }
    let __session = __call.session();
    let __response = async move {
        if let ::core::option::Option::Some(__r) = ::core::option::Option::None::<
            String,
        > {
            return __r;
        }
        let session: &mut ::bsession::Session = __session;
        let _ = &session;
        { id.to_string() }
    }
        .await;
    __call.save(__response).await
}
