async fn of_another_service(
    mut __request: ::bsession::__private::Request,
) -> ::bsession::__private::Saved<Html> {
    __request.look_ahead().await;
    let __extractors = ::bsession::__private::Extractors::NONE;
    let __extractors = __extractors.check::<Data<Services>>().and::<Data<Services>>();
    let __extracted = match __request.extract(__extractors).await {
        ::core::result::Result::Ok(__extracted) => __extracted,
        ::core::result::Result::Err(__refused) => return __refused,
    };
    let (__extractor, __extracted) = __extracted;
    let services = __extractor;
    let mut __call = match __request.connect(&(services.admin)).await {
        ::core::result::Result::Ok(__call) => __call,
        ::core::result::Result::Err(__refused) => return __refused,
    };
    if let ::core::option::Option::Some(__refused) = __call
        .admit(const { &::bsession::__private::Gate::new().csrf().require_key("role") })
        .await
    {
        return __refused;
    }
    let __session = __call.session();
    let __response = (async move |session: &mut _| -> _ {
        if let ::core::option::Option::Some(__r) = ::core::option::Option::None::<Html> {
            return __r;
        }
        let session: &mut ::bsession::Session = session;
        let _ = &session;
        { page(session) }
    })(__session)
        .await;
    __call.save(__response).await
}
