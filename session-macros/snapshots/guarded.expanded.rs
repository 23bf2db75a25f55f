async fn guarded(
    mut __call: ::bsession::__private::OnlyActixWebCallsThis,
) -> ::bsession::__private::Saved<Html> {
    if let ::core::option::Option::Some(__refused) = __call
        .admit(const {
            &::bsession::__private::Gate::new()
                .csrf()
                .lock()
                .require()
                .fresh(::core::time::Duration::from_millis(900000u64))
                .redirect("/login")
        })
        .await
    {
        return __refused;
    }
    let __extractors = ::bsession::__private::Extractors::NONE;
    let __extractors = __extractors.check::<Form<Address>>().and::<Form<Address>>();
    let __extracted = match __call.extract(__extractors).await {
        ::core::result::Result::Ok(__extracted) => __extracted,
        ::core::result::Result::Err(__refused) => return __refused,
    };
    let (__extractor, __extracted) = __extracted;
    let form = __extractor;
    __call.session().renew();
    let __user = __call.user();
    let __session = __call.session();
    let __response = (async move |session: &mut _, user: &_| -> _ {
        if let ::core::option::Option::Some(__r) = ::core::option::Option::None::<Html> {
            return __r;
        }
        let session: &mut ::bsession::Session = session;
        let _ = &session;
        let user: &str = user;
        { greet(user) }
    })(__session, &__user)
        .await;
    __call.save(__response).await
}
