async fn only_conditional(
    mut __call: ::bsession::__private::OnlyActixWebCallsThis,
) -> ::bsession::__private::Saved<String> {
    let __extractors = ::bsession::__private::Extractors::NONE;
    #[cfg(unix)]
    let __extractors = __extractors.check::<Data<System>>().and::<Data<System>>();
    let __extracted = match __call.extract(__extractors).await {
        ::core::result::Result::Ok(__extracted) => __extracted,
        ::core::result::Result::Err(__refused) => return __refused,
    };
    #[cfg(unix)]
    let (__extractor, __extracted) = __extracted;
    #[cfg(unix)]
    let system = __extractor;
    let __session = __call.session();
    let __response = (async move |session: &mut _| -> _ {
        if let ::core::option::Option::Some(__r) = ::core::option::Option::None::<
            String,
        > {
            return __r;
        }
        let session: &mut ::bsession::Session = session;
        let _ = &session;
        { String::new() }
    })(__session)
        .await;
    __call.save(__response).await
}
