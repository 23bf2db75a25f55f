/// A shop.
#[post("/cart/{item}")]
async fn lent(
    mut __call: ::bsession::__private::OnlyActixWebCallsThis,
) -> ::bsession::__private::Saved<impl Responder> {
    let __extractors = ::bsession::__private::Extractors::NONE;
    let __extractors = __extractors.check::<Path<u32>>().and::<Path<u32>>();
    let __extracted = match __call.extract(__extractors).await {
        ::core::result::Result::Ok(__extracted) => __extracted,
        ::core::result::Result::Err(__refused) => return __refused,
    };
    let (__extractor, __extracted) = __extracted;
    let item = __extractor;
    let mut __view0 = __call.view::<Cart>();
    let __view0_mut = __view0.get_mut();
    let mut __view1 = __call.view::<shop::Prices>();
    let __view1_mut = __view1.get_mut();
    let __session = __call.session();
    let __response = (async move |session: &mut _, cart: &_, __lent: &_| match () {
        () => {
            if let ::core::option::Option::Some(__r) = ::core::option::Option::None::<
                _,
            > {
                return __r;
            }
            let session: &::bsession::Session = session;
            let _ = &session;
            let cart: &Cart = cart;
            let Prices { sale, .. }: &shop::Prices = __lent;
            { format!("{} {}", cart.items.len(), session["name"]) }
        }
    })(__session, __view0_mut, __view1_mut)
        .await;
    __call.save(__response).await
}
