async fn views(
    mut __call: ::bsession::__private::OnlyActixWebCallsThis,
) -> ::bsession::__private::Saved<Result<impl Responder, Error>> {
    let __extractors = ::bsession::__private::Extractors::NONE;
    let __extractors = __extractors.check::<Path<u32>>().and::<Path<u32>>();
    let __extracted = match __call.extract(__extractors).await {
        ::core::result::Result::Ok(__extracted) => __extracted,
        ::core::result::Result::Err(__refused) => return __refused,
    };
    let (__extractor, __extracted) = __extracted;
    let item = __extractor;
    #[cfg(shop)]
    let mut __view1 = __call.view::<Cart>();
    #[cfg(shop)]
    let __view1_mut = __view1.get_mut();
    let mut __view2 = __call.view::<Seen<u32>>();
    let __view2_mut = __view2.get_mut();
    let __session = __call.session();
    let __response = (async move |visitor: &mut _, seen: &mut _| -> _ {
        if let ::core::option::Option::Some(__r) = ::core::option::Option::None::<
            Result<_, Error>,
        > {
            return __r;
        }
        let visitor: &mut bsession::Session = visitor;
        #[cfg(shop)]
        let cart: &mut Cart = __view1_mut;
        let seen: &mut Seen<u32> = seen;
        {
            cart.items.push(*item);
            Ok(visitor["name"].to_string())
        }
    })(__session, __view2_mut)
        .await;
    #[cfg(shop)] __call.write(__view1);
    __call.write(__view2);
    __call.save(__response).await
}
