/// A shop.
#[post("/cart/{item}")]
async fn lent(
    (mut __call, item): (::bsession::__private::OnlyActixWebCallsThis, Path<u32>),
) -> ::bsession::__private::Saved<impl Responder> {
    let mut __view0 = __call.view::<Cart>();
    let __view0_mut = __view0.get_mut();
    let mut __view1 = __call.view::<shop::Prices>();
    let __view1_mut = __view1.get_mut();
    let __session = __call.session();
    let __response = async move {
        if let ::core::option::Option::Some(__r) = ::core::option::Option::None::<_> {
            return __r;
        }
        let session: &::bsession::Session = __session;
        let _ = &session;
        let cart: &Cart = __view0_mut;
        let Prices { sale, .. }: &shop::Prices = __view1_mut;
        { format!("{} {}", cart.items.len(), session["name"]) }
    }
        .await;
    __call.save(__response).await
}
