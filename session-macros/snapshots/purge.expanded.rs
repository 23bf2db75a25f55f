/// Ends the session.
#[post("/logout")]
pub async fn logout(
    mut __call: ::bsession::__private::OnlyActixWebCallsThis,
) -> ::bsession::__private::Saved<impl Responder> {
    if let ::core::option::Option::Some(__refused) = __call
        .admit(const { &::bsession::__private::Gate::new().purge() })
        .await
    {
        return __refused;
    }
    let __extractors = ::bsession::__private::Extractors::NONE;
    let __extractors = __extractors.check::<Form<Leave>>().and::<Form<Leave>>();
    let __extractors = __extractors.check::<HttpRequest>().and::<HttpRequest>();
    let __extracted = match __call.extract(__extractors).await {
        ::core::result::Result::Ok(__extracted) => __extracted,
        ::core::result::Result::Err(__refused) => return __refused,
    };
    let (__extractor, __extracted) = __extracted;
    let _ = __extractor;
    let (__extractor, __extracted) = __extracted;
    let mut form = __extractor;
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
            { Redirect::to(form.next.take()).see_other() }
        }
    })(__session)
        .await;
    __call.save(__response).await
}
