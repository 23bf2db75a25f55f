async fn of_another_service(
    (
        __csrf,
        __request,
        services,
    ): (::bsession::__private::Csrf, ::bsession::__private::Request, Data<Services>),
) -> ::bsession::__private::Saved<Html> {
    let mut __call = match __request.connect(&(services.admin)).await {
        ::core::result::Result::Ok(__call) => __call,
        ::core::result::Result::Err(__refused) => return __refused,
    };
    if let ::core::option::Option::Some(__refused) = __call
        .admit(::bsession::__private::Gate::NONE.csrf(__csrf).require_key("role"))
        .await
    {
        return __refused;
    }
    let __session = __call.session();
    let __response = async move {
        if let ::core::option::Option::Some(__r) = ::core::option::Option::None::<Html> {
            return __r;
        }
        let session: &mut ::bsession::Session = __session;
        let _ = &session;
        { page(session) }
    }
        .await;
    __call.save(__response).await
}
