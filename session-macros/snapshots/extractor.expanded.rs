async fn show(
    (mut __call, id): (::bsession::__private::OnlyActixWebCallsThis, Path<u32>),
) -> ::bsession::__private::Saved<impl Responder> {
    let __session = __call.session();
    let __response = async move {
        if let ::core::option::Option::Some(__r) = ::core::option::Option::None::<_> {
            return __r;
        }
        let session: &mut ::bsession::Session = __session;
        let _ = &session;
        {
            session.insert("id", *id);
            "shown"
        }
    }
        .await;
    __call.save(__response).await
}
