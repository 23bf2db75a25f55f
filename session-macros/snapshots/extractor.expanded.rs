async fn show(
    mut __call: ::bsession::__private::OnlyActixWebCallsThis,
) -> ::bsession::__private::Saved<impl Responder> {
    let __extractors = ::bsession::__private::Extractors::NONE;
    let __extractors = __extractors.check::<Path<u32>>().and::<Path<u32>>();
    let __extracted = match __call.extract(__extractors).await {
        ::core::result::Result::Ok(__extracted) => __extracted,
        ::core::result::Result::Err(__refused) => return __refused,
    };
    let (__extractor, __extracted) = __extracted;
    let id = __extractor;
    let __session = __call.session();
    let __response = (async move |session: &mut _| match () {
        () => {
            if let ::core::option::Option::Some(__r) = ::core::option::Option::None::<
                _,
            > {
                return __r;
            }
            let session: &mut ::bsession::Session = session;
            let _ = &session;
            {
                session.insert("id", *id);
                "shown"
            }
        }
    })(__session)
        .await;
    __call.save(__response).await
}
