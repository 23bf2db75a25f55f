async fn of_a_framework(
    mut __call: my_framework::bsession::__private::OnlyActixWebCallsThis,
) -> my_framework::bsession::__private::Saved<impl Responder> {
    if let ::core::option::Option::Some(__refused) = __call
        .admit(const {
            &my_framework::bsession::__private::Gate::new().csrf().require()
        })
        .await
    {
        return __refused;
    }
    let __extractors = my_framework::bsession::__private::Extractors::NONE;
    let __extractors = __extractors.check::<Path<u32>>().and::<Path<u32>>();
    let __extracted = match __call.extract(__extractors).await {
        ::core::result::Result::Ok(__extracted) => __extracted,
        ::core::result::Result::Err(__refused) => return __refused,
    };
    let (__extractor, __extracted) = __extracted;
    let id = __extractor;
    let mut __view0 = __call.view::<Cart>();
    let __view0_mut = __view0.get_mut();
    let __user = __call.user();
    let __session = __call.session();
    let __response = (async move |session: &mut _, cart: &mut _, user: &_| match () {
        () => {
            if let ::core::option::Option::Some(__r) = ::core::option::Option::None::<
                _,
            > {
                return __r;
            }
            let session: &mut my_framework::bsession::Session = session;
            let _ = &session;
            let cart: &mut Cart = cart;
            let user: &str = user;
            { page(session, user) }
        }
    })(__session, __view0_mut, &__user)
        .await;
    __call.write(__view0);
    __call.save(__response).await
}
