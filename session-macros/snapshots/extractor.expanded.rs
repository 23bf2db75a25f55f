async fn show(
    (id, mut __call): (Path<u32>, ::bsession::__private::Call),
) -> ::bsession::__private::Saved<impl Responder> {
    let __session: &mut ::bsession::Session = __call.session();
    let __response = async move {
        if let ::core::option::Option::Some(__r) = ::core::option::Option::None::<_> {
            return __r;
        }
        let session = __session;
        let _ = &session;
        {
            session.insert("id", *id);
            "shown"
        }
    }
        .await;
    __call.save(__response).await
}
