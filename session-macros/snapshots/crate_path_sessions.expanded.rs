async fn of_a_service(
    mut __request: crate::sessions::__private::Request,
) -> crate::sessions::__private::Saved<Html> {
    let __extractors = crate::sessions::__private::Extractors::NONE;
    let __extractors = __extractors.check::<Data<Sessions>>().and::<Data<Sessions>>();
    let __extracted = match __request.extract(__extractors).await {
        ::core::result::Result::Ok(__extracted) => __extracted,
        ::core::result::Result::Err(__refused) => return __refused,
    };
    let (__extractor, __extracted) = __extracted;
    let admin = __extractor;
    let mut __call = match __request.connect(&(admin)).await {
        ::core::result::Result::Ok(__call) => __call,
        ::core::result::Result::Err(__refused) => return __refused,
    };
    let __session = __call.session();
    let __response = (async move |session: &mut _| -> _ {
        if let ::core::option::Option::Some(__r) = ::core::option::Option::None::<Html> {
            return __r;
        }
        let session: &crate::sessions::Session = session;
        let _ = &session;
        { page(session) }
    })(__session)
        .await;
    __call.save(__response).await
}
::core::compile_error! {
    "expected a path, not a string: write `crate = crate::sessions`"
}
